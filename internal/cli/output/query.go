package output

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/jmespath/go-jmespath"
)

// Query is a JMESPath expression; it is a flag's value. The zero query selects
// everything.
type Query struct {
	expression string
	compiled   *jmespath.JMESPath
	// columns are the names that the expression gives, in its order: the
	// interpreter returns maps, which have none.
	columns []string
}

// String is the expression.
func (q *Query) String() string { return q.expression }

// Type names the flag's value in usage texts.
func (q *Query) Type() string { return "JMESPath" }

// Set compiles an expression.
func (q *Query) Set(expression string) error {
	tree, err := jmespath.NewParser().Parse(expression)
	if err != nil {
		return fmt.Errorf("not a JMESPath expression: %w", err)
	}
	compiled, err := jmespath.Compile(expression)
	if err != nil {
		return fmt.Errorf("not a JMESPath expression: %w", err)
	}
	*q = Query{expression: expression, compiled: compiled, columns: namedColumns(tree)}
	return nil
}

// active says whether there is an expression.
func (q *Query) active() bool { return q != nil && q.compiled != nil }

// apply selects from a value of JSON's types.
func (q *Query) apply(value any) (any, error) {
	if !q.active() {
		return value, nil
	}
	selected, err := q.compiled.Search(value)
	if err != nil {
		return nil, fmt.Errorf("applying --query: %w", err)
	}
	return selected, nil
}

// namedColumns are the keys of the expression's multi-select hashes. The
// parser shows its tree only as text; if that text ever changes, columns fall
// back to the order of the alphabet.
func namedColumns(tree jmespath.ASTNode) []string {
	pair := regexp.MustCompile(`ASTKeyValPair \{\n\s+value: ("(?:[^"\\]|\\.)*")`)
	var names []string
	for _, match := range pair.FindAllStringSubmatch(tree.PrettyPrint(0), -1) {
		if name, err := strconv.Unquote(match[1]); err == nil {
			names = append(names, name)
		}
	}
	return names
}
