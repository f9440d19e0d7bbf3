package frontend_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// names follows a list's pages and returns the names of all items.
func (r *rig) names(path string, pages int) []string {
	r.t.Helper()
	var names []string
	for page := 1; ; page++ {
		a := r.call(http.MethodGet, path, "")
		if a.status != http.StatusOK {
			r.t.Fatalf("page %d: %d %s", page, a.status, a.raw)
		}
		for _, item := range a.body["value"].([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
		}
		next, more := a.body["nextLink"].(string)
		if more != (page < pages) || more && !strings.HasPrefix(next, r.server.URL+"/") {
			r.t.Fatalf("page %d of %d has the next link %q", page, pages, next)
		}
		if !more {
			return names
		}
		path = strings.TrimPrefix(next, r.server.URL)
	}
}

func TestListsOfClustersAndPoolsComeInPages(t *testing.T) {
	r := newRig(t)
	r.group()
	const clusters = groupPath + "/providers/Microsoft.ContainerService/managedClusters"
	for i := range 5 {
		if a := r.call(http.MethodPut, fmt.Sprintf("%s/c%d", clusters, i), strings.Replace(body("", ""), `"dnsPrefix"`, `"nodeResourceGroup":"","dnsPrefix"`, 1)); a.status != http.StatusCreated {
			t.Fatal(a.raw)
		}
	}
	for _, list := range []string{clusters, strings.Replace(clusters, "/resourceGroups/rg", "", 1)} {
		if got := r.names(list+"?api-version="+aksVersion+"&$top=2", 3); !slices.Equal(got, []string{"c0", "c1", "c2", "c3", "c4"}) {
			t.Errorf("%s has %v", list, got)
		}
		if got := r.names(list, 1); len(got) != 5 {
			t.Errorf("%s without $top has %v", list, got)
		}
		for query, target := range map[string]string{"$top=x": "$top", "$top=-1": "$top", "$skipToken=*": "$skipToken"} {
			a := r.call(http.MethodGet, list+"?"+query, "")
			if _, at, _ := a.errorOf(); a.status != http.StatusBadRequest || at != target {
				t.Errorf("%s: %d %s", query, a.status, a.raw)
			}
		}
	}
	pools := made(t)
	for _, name := range []string{"b", "c"} {
		if a := pools.call(http.MethodPut, clusterPath+"/agentPools/"+name, `{"properties":{"count":0,"mode":"User"}}`); a.status != http.StatusCreated {
			t.Fatal(a.raw)
		}
	}
	if got := pools.names(clusterPath+"/agentPools?api-version="+aksVersion+"&$top=1", 3); !slices.Equal(got, []string{"b", "c", "nodepool1"}) {
		t.Errorf("the pools are %v", got)
	}
}

func TestTagsKeepTheRulesOfTags(t *testing.T) {
	r := made(t)
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	long := strings.Repeat("ä", 256)
	for name, c := range map[string]struct{ tags, code string }{
		"a value of 256 characters":  {`"a":"` + long + `"`, ""},
		"a value of 257 characters":  {`"a":"` + long + `x"`, "InvalidTagValueLength"},
		"a name of 512 characters":   {`"` + long + long + `":"v"`, ""},
		"a name of 513 characters":   {`"` + long + long + `x":"v"`, "InvalidTagNameLength"},
		"an empty name":              {`"":"v"`, "InvalidTagNameLength"},
		"an empty value":             {`"a":""`, ""},
		"fifty tags":                 {strings.Join(many[:50], ","), ""},
		"one more than fifty":        {strings.Join(many, ","), "TagsLimitExceeded"},
		"a slash":                    {`"a/b":"v"`, "InvalidTagNameCharacters"},
		"a line break in a name":     {`"a\nb":"v"`, "InvalidTagNameCharacters"},
		"a name in two spellings":    {`"Env":"a","env":"b"`, "InvalidTagNames"},
		"a value that is a number":   {`"a":1`, "InvalidRequestContent"},
		"two tags that are all good": {`"Env":"a","Team":"b"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for path, ok := range map[string]int{clusterPath: http.StatusOK, groupPath: http.StatusOK} {
				a := r.call(http.MethodPatch, path, `{"tags":{`+c.tags+`}}`)
				code, _, _ := a.errorOf()
				if code != c.code || c.code == "" && a.status != ok {
					t.Errorf("%s: %d %.300s, want %q", path, a.status, a.raw, c.code)
				}
			}
		})
	}
}
