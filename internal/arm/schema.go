package arm

import (
	"fmt"
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
}

// Schema is a compiled table of properties.
type Schema struct {
	root *node
}

// node is a property and what lies below it.
type node struct {
	name     string
	property Property
	children map[string]*node // by lower-case name
	item     *node            // of an array or a map
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
			n.item = &node{name: segment, property: p, children: map[string]*node{}}
			return nil
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
		n.children[key] = &node{name: segment, property: p, children: map[string]*node{}}
		return nil
	case !known:
		return fmt.Errorf("its parent %s is not listed before it", segment)
	default:
		return child.insert(p, rest)
	}
}
