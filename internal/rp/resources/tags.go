package resources

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"berth.dev/berth/internal/arm"
)

// The limits of tags.
const (
	maxTags     = 50
	maxTagKey   = 512
	maxTagValue = 256
)

// CheckTags holds tags against ARM's limits. path is where they stand in the body.
func CheckTags(tags map[string]string, path string, fields *arm.FieldErrors) {
	if len(tags) > maxTags {
		fields.Add("TagsLimitExceeded", path, "There are %d tags; at most %d are allowed.", len(tags), maxTags)
	}
	keys := make([]string, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	seen := map[string]bool{}
	for _, key := range keys {
		at := path + "." + key
		if lower := strings.ToLower(key); seen[lower] {
			fields.Add("InvalidTagNames", at, "The tag name '%.40s' is there twice: names of tags compare regardless of case.", key)
		} else {
			seen[lower] = true
		}
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			fields.Add("InvalidTagNameLength", path, "The tag name '%.40s' is empty or longer than %d characters.", key, maxTagKey)
		case strings.ContainsAny(key, `<>%&\?/`) || strings.ContainsFunc(key, unicode.IsControl):
			fields.Add("InvalidTagNameCharacters", at, `The tag name '%s' has one of the characters < > %% & \ ? / or a control character.`, key)
		}
		if utf8.RuneCountInString(tags[key]) > maxTagValue {
			fields.Add("InvalidTagValueLength", at, "The value of the tag '%s' is longer than %d characters.", key, maxTagValue)
		}
	}
}
