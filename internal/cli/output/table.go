package output

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jmespath/go-jmespath"
)

// ErrNoTable says that a value has no rows of plain cells.
var ErrNoTable = errors.New("table output unavailable: use --query to select columns, or another --output")

// grid is a table of text: its columns in order and, for each row, the cells
// by column.
type grid struct {
	headers []string
	rows    []map[string]string
}

func (g *grid) add(row map[string]string, header string, cell string) {
	if !slices.Contains(g.headers, header) {
		g.headers = append(g.headers, header)
	}
	row[header] = cell
}

// arrange puts the columns that the user named into the user's order; one may
// have come late because the first row has no value there.
func (g *grid) arrange(order []string) {
	rank := func(header string) int {
		if i := slices.IndexFunc(order, func(name string) bool { return capitalized(name) == header }); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(g.headers, func(a, b string) int { return rank(a) - rank(b) })
}

// commandTable is a command's own table.
func commandTable(value any, columns Columns) ([]byte, error) {
	if len(columns.Columns) == 0 {
		return automaticTable(value, nil)
	}
	rows := list(value)
	if columns.Rows != nil {
		rows = columns.Rows(value)
	}
	table := grid{}
	for _, row := range rows {
		cells := map[string]string{}
		for _, column := range columns.Columns {
			cell, err := jmespath.Search(column.Path, row)
			if err != nil {
				return nil, fmt.Errorf("making column %s: %w", column.Header, err)
			}
			table.add(cells, column.Header, cellText(cell))
		}
		table.rows = append(table.rows, cells)
	}
	return table.render(), nil
}

// automaticTable is the table of the plain fields of a value: az's, when the
// user's query says what the rows are.
func automaticTable(value any, order []string) ([]byte, error) {
	table := grid{}
	for _, item := range list(value) {
		cells := map[string]string{}
		switch item := item.(type) {
		case map[string]any:
			for _, key := range sortedKeys(item, order) {
				if isPlain(item[key]) && item[key] != nil {
					table.add(cells, capitalized(key), cellText(item[key]))
				}
			}
		case []any:
			for i, cell := range item {
				table.add(cells, fmt.Sprintf("Column%d", i+1), cellText(cell))
			}
		default:
			table.add(cells, "Result", cellText(item))
		}
		table.rows = append(table.rows, cells)
	}
	table.arrange(order)
	if len(table.rows) > 0 && len(table.headers) == 0 {
		return nil, ErrNoTable
	}
	return table.render(), nil
}

// render draws the table as az does: titles, a line of dashes, rows; columns
// two spaces apart.
func (g grid) render() []byte {
	if len(g.rows) == 0 {
		return nil
	}
	widths := make([]int, len(g.headers))
	for i, header := range g.headers {
		widths[i] = utf8.RuneCountInString(header) + 2 // az's tables leave titles room
		for _, row := range g.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[header]))
		}
	}
	var text bytes.Buffer
	line := func(cell func(i int) string) {
		var b strings.Builder
		for i := range g.headers {
			c := cell(i)
			b.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		text.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	line(func(i int) string { return g.headers[i] })
	line(func(i int) string { return strings.Repeat("-", widths[i]) })
	for _, row := range g.rows {
		line(func(i int) string { return row[g.headers[i]] })
	}
	return text.Bytes()
}

// list is the value as a list: itself, or itself alone.
func list(value any) []any {
	if items, ok := value.([]any); ok {
		return items
	}
	return []any{value}
}

func isPlain(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// cellText is a value in one cell: lists by their length and objects not at
// all, since a cell has no room for them.
func cellText(value any) string {
	switch value := value.(type) {
	case nil, map[string]any:
		return ""
	case []any:
		return fmt.Sprint(len(value))
	case bool:
		if value {
			return "True"
		}
		return "False"
	case float64:
		return number(value)
	default:
		return strings.NewReplacer("\n", " ", "\t", " ").Replace(fmt.Sprint(value))
	}
}

func capitalized(key string) string {
	first, size := utf8.DecodeRuneInString(key)
	return string(unicode.ToUpper(first)) + key[size:]
}
