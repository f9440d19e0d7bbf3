package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/yaml"
)

// Printer prints values in one format.
type Printer struct {
	// Out is where to.
	Out io.Writer
	// Format is how; JSON if empty.
	Format Format
	// Query selects what is printed; may be nil.
	Query *Query
	// Color says that Out shows colours.
	Color bool
}

// Columns is how a command's own table is made from its value.
type Columns struct {
	// Rows turns the value into the list of the table's rows; nil if the value
	// is a row or a list of rows already.
	Rows func(value any) []any
	// Columns are the columns from left to right.
	Columns []Column
}

// Column is one column of a command's table.
type Column struct {
	// Header is the column's title.
	Header string
	// Path is the JMESPath of the cell in a row.
	Path string
}

// Print prints a value. columns is the command's own table, which counts only
// for the table format and without a query, as in az.
func (p Printer) Print(value any, columns Columns) error {
	if p.Format == None {
		return nil
	}
	value, err := Generic(value)
	if err != nil {
		return err
	}
	if value, err = p.Query.apply(value); err != nil || value == nil {
		return err // nothing found is nothing printed, as in az
	}
	text, err := p.render(value, columns)
	if err != nil {
		return err
	}
	_, err = p.Out.Write(text)
	return err
}

func (p Printer) render(value any, columns Columns) ([]byte, error) {
	switch p.Format {
	case Table:
		if p.Query.active() {
			return automaticTable(value, p.Query.columns)
		}
		return commandTable(value, columns)
	case TSV:
		return renderTSV(value, p.columnOrder()), nil
	case YAML:
		return yaml.Marshal(value)
	case JSONC:
		text, err := renderJSON(value)
		if err == nil && p.Color {
			text = colored(text)
		}
		return text, err
	default:
		return renderJSON(value)
	}
}

func (p Printer) columnOrder() []string {
	if !p.Query.active() {
		return nil
	}
	return p.Query.columns
}

// Generic turns a value into JSON's own types.
func Generic(value any) (any, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	var generic any
	if err := json.Unmarshal(encoded, &generic); err != nil {
		return nil, fmt.Errorf("decoding the result: %w", err)
	}
	return generic, nil
}

func renderJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return text.Bytes(), nil
}

// sortedKeys are the keys of an object: those of order first, in its order,
// then the rest by the alphabet.
func sortedKeys(object map[string]any, order []string) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	rank := func(key string) int {
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		if a < b {
			return -1
		}
		return 1
	})
	return keys
}
