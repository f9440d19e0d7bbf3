package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// No body of ARM's comes near these: how deep objects and lists may nest, and
// how long a key may be, which an error about it repeats.
const (
	maxDepth = 64
	maxKey   = 2048
)

// checkStrict refuses JSON that two readers could understand differently, or
// that is made to cost: a key twice in one object, and nesting without end. Of
// a key given twice Go's decoder checks the one and merges the other.
func checkStrict(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	type level struct {
		keys  map[string]bool // nil of a list
		value bool            // the next token is a value, not a key
	}
	var levels []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil // the end; what is malformed, the decoder itself says better
		}
		if text, isText := token.(string); isText && strings.ContainsRune(text, 0) {
			return errors.New("a text in it has the character NUL, which no value may have")
		}
		if len(levels) > 0 && token != json.Delim('}') && token != json.Delim(']') {
			top := &levels[len(levels)-1]
			if top.keys != nil && !top.value {
				key, _ := token.(string)
				if len(key) > maxKey {
					return fmt.Errorf("a key is longer than %d bytes", maxKey)
				}
				if top.keys[key] {
					return fmt.Errorf("the key '%s' is there twice in one object", display(key))
				}
				top.keys[key], top.value = true, true
				continue
			}
			top.value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{keys: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if len(levels) > maxDepth {
			return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
		}
	}
}
