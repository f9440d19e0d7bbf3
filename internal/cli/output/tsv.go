package output

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// renderTSV prints one line an item, cells parted by tabs and no titles, for
// scripts to read. As in az, a list in a cell is its length and an object is
// nothing; an absent value is the word None.
func renderTSV(value any, order []string) []byte {
	var text bytes.Buffer
	for _, item := range list(value) {
		switch item := item.(type) {
		case map[string]any:
			cells := make([]string, 0, len(item))
			for _, key := range sortedKeys(item, order) {
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
