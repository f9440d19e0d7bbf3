package output

import (
	"bytes"
	"regexp"
)

// The colours of coloured JSON.
const (
	colorReset   = "\x1b[0m"
	colorKey     = "\x1b[34m"
	colorString  = "\x1b[32m"
	colorLiteral = "\x1b[36m"
)

// colored paints indented JSON: keys, strings, and everything else that is a
// value. It never changes a character of the text itself.
func colored(text []byte) []byte {
	token := regexp.MustCompile(`("(?:[^"\\]|\\.)*")(:?)|\b(?:true|false|null)\b|-?\d[\d.eE+-]*`)
	var painted bytes.Buffer
	position := 0
	for _, match := range token.FindAllSubmatchIndex(text, -1) {
		painted.Write(text[position:match[0]])
		color, end := colorLiteral, match[1]
		if match[2] >= 0 {
			color, end = colorString, match[3]
			if match[4] != match[5] {
				color = colorKey
			}
		}
		painted.WriteString(color)
		painted.Write(text[match[0]:end])
		painted.WriteString(colorReset)
		painted.Write(text[end:match[1]])
		position = match[1]
	}
	painted.Write(text[position:])
	return painted.Bytes()
}
