// Package output prints what a command found, in the formats that az has and
// in az's shapes, so that scripts written for one read the other. It knows no
// command and no service.
package output

import (
	"fmt"
	"slices"
	"strings"
)

// Format is one of az's output formats; it is a flag's value.
type Format string

// The formats.
const (
	JSON  Format = "json"
	JSONC Format = "jsonc"
	Table Format = "table"
	TSV   Format = "tsv"
	YAML  Format = "yaml"
	None  Format = "none"
)

// Formats are all formats, the default first.
func Formats() []string {
	return []string{string(JSON), string(JSONC), string(Table), string(TSV), string(YAML), string(None)}
}

// String is the format's name.
func (f *Format) String() string { return string(*f) }

// Type names the flag's value in usage texts.
func (f *Format) Type() string { return "format" }

// Set takes a format by name.
func (f *Format) Set(name string) error {
	name = strings.ToLower(name)
	if !slices.Contains(Formats(), name) {
		return fmt.Errorf("allowed are %s", strings.Join(Formats(), ", "))
	}
	*f = Format(name)
	return nil
}
