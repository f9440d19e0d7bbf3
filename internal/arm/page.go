package arm

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
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
	order := make([]place, len(items)) // each key is made once: a list of thousands compares tens of thousands
	for i := range items {
		order[i] = place{strings.ToLower(key(items[i])), i}
	}
	slices.SortFunc(order, func(a, b place) int { return strings.Compare(a.key, b.key) })
	start := sort.Search(len(order), func(i int) bool { return order[i].key > string(after) })
	if len(after) == 0 {
		start = 0
	}
	end := min(start+size, len(order))
	page := List[T]{Value: make([]T, 0, end-start)}
	for _, at := range order[start:end] {
		page.Value = append(page.Value, items[at.index])
	}
	if end < len(order) {
		query.Del("$skiptoken")
		query.Set("$skipToken", base64.RawURLEncoding.EncodeToString([]byte(order[end-1].key)))
		page.NextLink = r.BaseURL() + r.URL.EscapedPath() + "?" + query.Encode()
	}
	return page, nil
}

// place is where an item of a list is, under its key.
type place struct {
	key   string
	index int
}

func skipToken(query url.Values) string {
	for name, values := range query {
		if strings.EqualFold(name, "$skipToken") && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
