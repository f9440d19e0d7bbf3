package output

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// renderTSV prints one line an item, cells parted by tabs and no titles, for
// scripts to read. As in az, a list in a cell is its length and an object is
// nothing; an absent value is the word None. All lines have the same columns.
func renderTSV(value any, order []string) []byte {
	var text bytes.Buffer
	columns := sortedKeys(allFields(value), order)
	for _, item := range list(value) {
		switch item := item.(type) {
		case map[string]any:
			cells := make([]string, 0, len(columns))
			for _, key := range columns {
				cells = append(cells, tsvCell(item[key]))
			}
			text.WriteString(strings.Join(cells, "\t"))
		case []any:
			cells := make([]string, 0, len(item))
			for _, cell := range item {
				cells = append(cells, tsvCell(cell))
			}
			text.WriteString(strings.Join(cells, "\t"))
		case bool: // az prints a lone boolean in lower case, and one in a row as Python does
			text.WriteString(strconv.FormatBool(item))
		default:
			text.WriteString(tsvCell(item))
		}
		text.WriteByte('\n')
	}
	return text.Bytes()
}

// allFields is an object with the fields of all objects of a list.
func allFields(value any) map[string]any {
	fields := map[string]any{}
	for _, item := range list(value) {
		if object, ok := item.(map[string]any); ok {
			maps.Copy(fields, object)
		}
	}
	return fields
}

func tsvCell(value any) string {
	switch value := value.(type) {
	case nil:
		return "None"
	case map[string]any:
		return ""
	case []any:
		return strconv.Itoa(len(value))
	case bool:
		if value {
			return "True"
		}
		return "False"
	case float64:
		return number(value)
	default:
		return fmt.Sprint(value)
	}
}

// number writes a JSON number without an exponent.
func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
