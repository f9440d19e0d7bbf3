package arm

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind is the JSON type of a property.
type Kind int

// The kinds of properties.
const (
	String  Kind = iota
	Integer      // 32 bits, no fraction
	Number
	Boolean
	Object // with the known properties that other lines of the table name
	Array  // of what the lines with "[]" say
	Map    // from any key to what the line with "{}" says
	Any    // a whole subtree that is not looked into
)

// Use is what the service does with a property.
type Use int

// The uses of a property.
const (
	// Acts: the service does what it says.
	Acts Use = iota
	// Inert: accepted, kept and given back, without effect; Note says why that does no harm.
	Inert
	// ReadOnly: the service's own to say; ignored in a request, as ARM has it.
	ReadOnly
	// Refused: not built. Accepted while it says nothing (null, false, zero,
	// empty, or one of Neutral), refused with Note otherwise.
	Refused
)

// Property is one line in the table of a resource type's properties.
type Property struct {
	// Path is the JSON path from the body's root: "properties.dnsPrefix",
	// "properties.agentPoolProfiles[].count", "tags{}".
	Path string
	Kind Kind
	Use  Use
	// Neutral are the values of a refused property that ask for nothing.
	Neutral []any
	// Note says, of a refused property, what is not built; of an inert one, why it has no effect.
	Note string
	// Rule is what its values have to be.
	Rule Rule
}

// Schema is a compiled table of properties.
type Schema struct {
	root   *node
	record bool
}

// node is a property and what lies below it.
type node struct {
	name     string
	property Property
	children map[string]*node // by lower-case name
	item     *node            // of an array or a map
	pattern  *regexp.Regexp   // of the rule, nil without one
}

// NewSchema compiles a table. A line must come after that of its parent, and
// no path may occur twice.
func NewSchema(properties []Property) (*Schema, error) {
	root := &node{property: Property{Kind: Object}, children: map[string]*node{}}
	for _, p := range properties {
		if err := root.insert(p, pathSegments(p.Path)); err != nil {
			return nil, fmt.Errorf("compiling the property %s: %w", p.Path, err)
		}
	}
	return &Schema{root: root}, nil
}

func newNode(name string, p Property) (*node, error) {
	n := &node{name: name, property: p, children: map[string]*node{}}
	var err error
	if p.Rule.Pattern != "" {
		n.pattern, err = regexp.Compile(p.Rule.Pattern)
	}
	return n, err
}

// Recording is the same schema for an operator who wants the values of refused
// properties recorded instead: they end up in Body.Recorded and are no errors.
func (s *Schema) Recording() *Schema { return &Schema{root: s.root, record: true} }

// pathSegments cuts "a.b[].c{}" into a, b, [], c, {}.
func pathSegments(path string) []string {
	path = strings.NewReplacer("[]", ".[]", "{}", ".{}").Replace(path)
	return strings.Split(path, ".")
}

func (n *node) insert(p Property, segments []string) error {
	segment, rest := segments[0], segments[1:]
	if segment == "[]" || segment == "{}" {
		if n.item == nil {
			if len(rest) > 0 {
				n.item = &node{name: segment, property: Property{Kind: Object}, children: map[string]*node{}}
				return n.item.insert(p, rest)
			}
			var err error
			n.item, err = newNode(segment, p)
			return err
		}
		if len(rest) == 0 {
			return fmt.Errorf("it is listed twice")
		}
		return n.item.insert(p, rest)
	}
	key := strings.ToLower(segment)
	child, known := n.children[key]
	switch {
	case len(rest) == 0 && known:
		return fmt.Errorf("it is listed twice")
	case len(rest) == 0:
		var err error
		n.children[key], err = newNode(segment, p)
		return err
	case !known:
		return fmt.Errorf("its parent %s is not listed before it", segment)
	default:
		return child.insert(p, rest)
	}
}
