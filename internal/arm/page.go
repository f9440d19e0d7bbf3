package arm

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// pageSize is how many items a page has unless $top asks for fewer. It keeps an
// answer below ARM's limit of 8 MB.
const pageSize = 500

// List is a page of a list.
type List[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// Page cuts the page out of a list that the request's $top and $skipToken ask
// for. Items are in the order of their keys, which are unique; a page begins
// after the key that the token names, so that items which come or go between
// two pages neither repeat others nor hide them.
func Page[T any](r *Request, items []T, key func(T) string) (List[T], error) {
	size := pageSize
	query := r.URL.Query()
	if top := query.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 {
			return List[T]{}, NewError(http.StatusBadRequest, "InvalidQueryParameterValue",
				"The value '%s' of the query parameter $top is not a positive number.", top).At("$top")
		}
		size = min(n, pageSize)
	}
	after, err := base64.RawURLEncoding.DecodeString(skipToken(query))
	if err != nil {
		return List[T]{}, NewError(http.StatusBadRequest, "InvalidSkipToken",
			"The value of the query parameter $skipToken is not one that this service gave out.").At("$skipToken")
	}
	sort.Slice(items, func(i, j int) bool { return lowerKey(key, items[i]) < lowerKey(key, items[j]) })
	start := sort.Search(len(items), func(i int) bool { return lowerKey(key, items[i]) > string(after) })
	if len(after) == 0 {
		start = 0
	}
	page := List[T]{Value: append([]T{}, items[start:min(start+size, len(items))]...)}
	if end := start + size; end < len(items) {
		query.Del("$skiptoken")
		query.Set("$skipToken", base64.RawURLEncoding.EncodeToString([]byte(lowerKey(key, items[end-1]))))
		page.NextLink = r.BaseURL() + r.URL.EscapedPath() + "?" + query.Encode()
	}
	return page, nil
}

func lowerKey[T any](key func(T) string, item T) string { return strings.ToLower(key(item)) }

func skipToken(query url.Values) string {
	for name, values := range query {
		if strings.EqualFold(name, "$skipToken") && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
