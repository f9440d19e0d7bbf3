package arm

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAResourceIDIsReadInAnyCaseAndKeepsItsOwn(t *testing.T) {
	const text = "/SUBSCRIPTIONS/s/resourcegroups/My.RG/Providers/Microsoft.X/things/Demo/parts/p1"
	id, err := ParseResourceID(text)
	if err != nil {
		t.Fatal(err)
	}
	if id.String() != "/subscriptions/s/resourceGroups/My.RG/providers/Microsoft.X/things/Demo/parts/p1" || id.Type() != "Microsoft.X/things/parts" || id.Name() != "p1" {
		t.Errorf("read as %s, a %s", id, id.Type())
	}
	other, err := ParseResourceID(strings.ToLower(text))
	if err != nil || !id.Equal(other) {
		t.Errorf("%s and %s differ: %v", id, other, err)
	}
	for _, bad := range []string{"", "/", "/x", "/subscriptions", "/subscriptions//resourceGroups/a", "/subscriptions/s/resourceGroups/a/x",
		"/subscriptions/s/providers/P", "/subscriptions/s/providers/P/t", "/subscriptions/s/providers/P/t/n/u"} {
		if id, err := ParseResourceID(bad); err == nil {
			t.Errorf("%q was read as %s", bad, id)
		}
	}
}

func TestTheRouterMatchesInAnyCaseAndKeepsTheCallersNames(t *testing.T) {
	version := &VersionTable{Versions: []string{"1"}}
	router, err := NewRouter([]Route{
		{Method: "GET", Pattern: "/a/{x}/Bees/{y}", Versions: version}, {Method: "PUT", Pattern: "/a/{x}/Bees/{y}", Versions: version},
		{Method: "GET", Pattern: "/a/{x}/fixed", Versions: version},
	})
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.Match("GET", "/A/One%20Two/bees/Y/")
	if err != nil || route.Pattern != "/a/{x}/Bees/{y}" || params["x"] != "One Two" || params["y"] != "Y" {
		t.Errorf("matched %v %v %v", route, params, err)
	}
	var refused *Error
	if _, _, err := router.Match("DELETE", "/a/1/bees/2"); !errors.As(err, &refused) || refused.Status != http.StatusMethodNotAllowed || refused.Header.Get("Allow") != "GET, PUT" {
		t.Errorf("another method: %v", err)
	}
	if _, _, err := router.Match("GET", "/a/1/wasps/2"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("another path: %v", err)
	}
	if _, err := NewRouter([]Route{{Method: "GET", Pattern: "/a/{x}", Public: true}, {Method: "GET", Pattern: "/A/{y}", Public: true}}); err == nil {
		t.Error("a route that is listed twice was accepted")
	}
	if _, err := NewRouter([]Route{{Method: "GET", Pattern: "/a"}}); err == nil {
		t.Error("a route without api-versions was accepted")
	}
}

func TestTheScopeOfARequestEndsAtItsLastName(t *testing.T) {
	for pattern, want := range map[string]string{
		"/a/{x}/b/{y}/action": "/a/1/b/2", "/a/{x}/list": "/a/1", "/tenants": "/",
	} {
		r := &Request{Route: &Route{Pattern: pattern}, Params: map[string]string{"x": "1", "y": "2"}}
		if got := r.Scope(); got != want {
			t.Errorf("%s has the scope %s, want %s", pattern, got, want)
		}
	}
}

func TestPagesHoldEveryItemOnceWhileItemsComeAndGo(t *testing.T) {
	items := []string{"d", "A", "c", "b", "e"}
	target := "/list?$top=2"
	var seen []string
	for range 5 {
		r := &Request{Request: httptest.NewRequest("GET", target, nil)}
		r.Host = "host:1"
		page, err := Page(r, append([]string(nil), items...), func(s string) string { return s })
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, page.Value...)
		if page.NextLink == "" {
			break
		}
		next, err := url.Parse(page.NextLink)
		if err != nil || next.Host != "host:1" || next.Scheme != "https" {
			t.Fatalf("the next link is %s: %v", page.NextLink, err)
		}
		target = next.RequestURI()
		items = []string{"d", "c", "e", "aa"} // b, the last seen, goes; one before it comes
	}
	if got := strings.Join(seen, ""); got != "Abcde" {
		t.Errorf("the pages hold %s", got)
	}
}

func TestNeutralValuesOfARefusedPropertyPass(t *testing.T) {
	schema, err := NewSchema([]Property{
		{Path: "a", Kind: Any, Use: Refused, Note: "no"},
		{Path: "b", Kind: Boolean, Use: Refused, Note: "no", Neutral: []any{true}},
		{Path: "c", Kind: String, Use: Refused, Note: "no", Neutral: []any{"None"}},
		{Path: "r", Kind: Any, Use: ReadOnly},
	})
	if err != nil {
		t.Fatal(err)
	}
	for body, refused := range map[string]bool{
		`{"a":null}`: false, `{"a":{}}`: false, `{"a":[]}`: false, `{"a":{"x":{"enabled":false,"n":0,"s":""}}}`: false, `{"A":false}`: false,
		`{"a":{"x":{"enabled":true}}}`: true, `{"a":["x"]}`: true, `{"a":1}`: true,
		`{"b":true}`: false, `{"b":false}`: true, `{"c":"none"}`: false, `{"c":""}`: false, `{"c":"all"}`: true, `{"r":{"any":"thing"}}`: false,
	} {
		fields := &FieldErrors{}
		if _, err := schema.Read([]byte(body), fields); err != nil {
			t.Fatal(err)
		}
		if got := fields.Err() != nil; got != refused {
			t.Errorf("%s: refused %v, want %v (%v)", body, got, refused, fields.Err())
		}
	}
}

func TestATableThatContradictsItselfIsRefused(t *testing.T) {
	for _, table := range [][]Property{
		{{Path: "a"}, {Path: "A"}}, {{Path: "a.b"}}, {{Path: "a", Kind: Array}, {Path: "a[]"}, {Path: "a[]"}},
	} {
		if _, err := NewSchema(table); err == nil {
			t.Errorf("%v was accepted", table)
		}
	}
}

func TestAnErrorWithoutAShapeTellsTheCallerNothingOfItself(t *testing.T) {
	w := httptest.NewRecorder()
	r := NewRequest(w, httptest.NewRequest("GET", "/", nil), "local", time.Now())
	cause := http.ErrBodyNotAllowed
	if got := WriteError(w, r, cause); !errors.Is(got, cause) {
		t.Errorf("the error to log is %v", got)
	}
	if w.Code != 500 || strings.Contains(w.Body.String(), cause.Error()) || !strings.Contains(w.Body.String(), r.CorrelationID) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func FuzzReadNeverPanicsAndRefusesWhatIsNoObject(f *testing.F) {
	schema, err := NewSchema([]Property{{Path: "a", Kind: Object}, {Path: "a.b", Kind: Array}, {Path: "a.b[]", Kind: Integer}, {Path: "m", Kind: Map}, {Path: "m{}", Kind: String}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{}`, `{"a":{"b":[1,null,"x"]}}`, `{"m":{"":null}}`, `[`, `{"a":{"b":[[]]}}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, raw []byte) {
		fields := &FieldErrors{}
		body, err := schema.Read(raw, fields)
		if err != nil || fields.Malformed() {
			return
		}
		var into struct {
			A struct {
				B []int32 `json:"b"`
			} `json:"a"`
			M map[string]string `json:"m"`
		}
		// Only a key that occurs twice may still surprise the decoder, with an error.
		_ = body.Decode(&into)
	})
}
