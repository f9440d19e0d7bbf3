package property

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"

	"berth.dev/berth/internal/arm"
)

// fill sets every field below a value, so that its JSON has every property.
func fill(v reflect.Value, depth int) {
	switch {
	case depth > 12:
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(0, 0)))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case v.Kind() == reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case v.Kind() == reflect.String:
		v.SetString("x")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(7)
	case v.CanFloat():
		v.SetFloat(7)
	}
}

// paths are the paths of all values in a JSON tree that fill has filled.
func paths(tree any, path string, into map[string]bool) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			switch {
			case key == "key":
				key = path + "{}"
			case path != "":
				key = path + "." + key
			}
			into[key] = true
			paths(value, key, into)
		}
	case []any:
		for _, item := range v {
			into[path+"[]"] = true
			paths(item, path+"[]", into)
		}
	}
}

func TestEveryPropertyOfTheSDKIsInTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		model      any
		properties []arm.Property
		least      int
	}{
		"managed cluster": {&armcontainerservice.ManagedCluster{}, Cluster(), 300},
		"agent pool":      {&armcontainerservice.AgentPool{}, Pool(), 100},
	} {
		t.Run(name, func(t *testing.T) {
			fill(reflect.ValueOf(c.model).Elem(), 0)
			raw, err := json.Marshal(c.model)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			if err := json.Unmarshal(raw, &tree); err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			paths(tree, "", found)
			if len(found) < c.least {
				t.Fatalf("the SDK's model has %d properties: the test looks in the wrong place", len(found))
			}
			lines := map[string]arm.Property{}
			for _, p := range c.properties {
				lines[p.Path] = p
			}
			for path := range found {
				if !covered(lines, path) {
					t.Errorf("%s is in no line of the table", path)
				}
			}
		})
	}
}

// covered says whether a path has a line, or lies below one that stands for a whole subtree.
func covered(lines map[string]arm.Property, path string) bool {
	if _, known := lines[path]; known {
		return true
	}
	for cut := len(path) - 1; cut > 0; cut-- {
		if line, known := lines[path[:cut]]; known && strings.ContainsRune(".[{", rune(path[cut])) {
			return line.Kind == arm.Any
		}
	}
	return false
}

// body is a body with one value at a path of the table.
func body(t *testing.T, path string, value any) []byte {
	t.Helper()
	for path != "" {
		cut := max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), strings.LastIndexByte(path, '{'))
		last := path[cut+1:]
		path = path[:max(cut, 0)]
		switch last {
		case "]":
			value = []any{value}
		case "}":
			value = map[string]any{"key": value}
		default:
			value = map[string]any{last: value}
		}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// examples are values that keep and that break a rule.
func examples(t *testing.T, p arm.Property) (good, bad []any) {
	t.Helper()
	const id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z"
	rule := p.Rule
	switch {
	case len(rule.Values) > 0:
		for _, word := range rule.Values {
			good = append(good, word, strings.ToUpper(word))
		}
		return good, []any{"no such word", rule.Values[0] + " "}
	case rule.Most != 0:
		bad = []any{rule.Most + 1, -1}
		if rule.Least > 1 {
			bad = append(bad, rule.Least-1)
		}
		return []any{rule.Least, rule.Most}, bad
	case rule.Items != 0:
		item := any("MTI=")
		switch name := p.Path[strings.LastIndexByte(p.Path, '.')+1:]; name {
		case "ipFamilies":
			item = "IPv4"
		case "hourSlots":
			item = 7
		case "timeInWeek", "notAllowedTime", "notAllowedDates":
			item = map[string]any{}
		}
		for range rule.Items {
			good = append(good, item)
		}
		return []any{good}, []any{append(append([]any{}, good...), item)}
	}
	known := map[string]struct{ good, bad []any }{
		idForm: {[]any{id, strings.ToUpper(id)}, []any{"x", "/subscriptions/s", id + "/y"}}, guidForm: {[]any{"11111111-1111-4111-8111-111111111111"}, []any{"1", "group"}},
		urlForm: {[]any{"http://proxy:1", "HTTPS://p/x"}, []any{"proxy:1", "ftp://x", "http:// x"}}, shareForm: {[]any{"1", "33%"}, []any{"x", "-1", "5.5%"}}, base64Form: {[]any{"MTI="}, []any{"-", "a b c"}},
		"the URL of a key with its version": {[]any{"https://v/keys/k/1"}, []any{"k"}}, "system, none or the id of a private DNS zone": {[]any{"system", "None", id}, []any{"zone"}},
		"a number of seconds, such as 10s": {[]any{"11", "12s"}, []any{"1m", "s", "-1"}}, "a number of minutes, such as 10m": {[]any{"1m"}, []any{"1", "1s"}},
		"a number of minutes, such as 15m": {[]any{"1m"}, []any{"1", "1s"}}, "a number of minutes, such as 3m": {[]any{"1m"}, []any{"1h"}}, "a number of minutes, such as 20m": {[]any{"1m"}, []any{"m"}},
		"a number of seconds, minutes or hours, such as 10m": {[]any{"1s", "1m", "1h"}, []any{"1", "1d", "1.5h"}}, "a whole number as a text": {[]any{"7"}, []any{"1.5", "-1", "x"}},
		"a moment such as 2026-12-24T00:00:00Z": {[]any{"2026-12-24T00:00:00Z", "2026-12-24t00:00:00.5+01:00"}, []any{"2026-12-24", "2026-12-24T00:00:00", "24.12.2026"}},
		"a day such as 2026-12-24":              {[]any{"2026-12-24"}, []any{"24.12.2026", "2026-12-24T00:00:00Z", "2026-1-1"}},
		"an offset from UTC such as +05:30":     {[]any{"+05:30", "-00:00"}, []any{"05:30", "Z", "+5:30"}}, "a time of the day such as 22:00": {[]any{"22:00"}, []any{"9:00", "22", "22:00:00"}},
		"0 to 100 as a text": {[]any{"0", "100"}, []any{"101", "-1", "1.5"}}, "0 to 1 as a text": {[]any{"0", "0.75", "1.0"}, []any{"1.1", "2", "-0.1", ".5"}},
	}
	found, there := known[rule.Form]
	if !there {
		t.Fatalf("%s has a rule (%s) without examples in this test", p.Path, rule)
	}
	return found.good, found.bad
}

func TestEveryRuleOfTheTableHoldsInBothModes(t *testing.T) {
	rules := 0
	for name, table := range Tables() {
		schema, err := arm.NewSchema(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range table {
			if p.Rule.String() == "" {
				continue
			}
			rules++
			good, bad := examples(t, p)
			for _, s := range []*arm.Schema{schema, schema.Recording()} {
				for _, value := range good {
					if broken(t, s, body(t, p.Path, value)) != "" {
						t.Errorf("%s: %s: %v is refused", name, p.Path, value)
					}
				}
				for _, value := range bad {
					target := strings.NewReplacer("[]", "[0]", "{}", ".key").Replace(p.Path)
					if got := broken(t, s, body(t, p.Path, value)); got != target {
						t.Errorf("%s: %s: %v is refused at %q", name, p.Path, value, got)
					}
				}
			}
		}
	}
	if rules < 100 {
		t.Errorf("only %d rules were tried", rules)
	}
}

// broken is the target of the rule that a body breaks, "" if none.
func broken(t *testing.T, s *arm.Schema, raw []byte) string {
	t.Helper()
	fields := &arm.FieldErrors{}
	if _, err := s.Read(raw, fields); err != nil {
		t.Fatal(err)
	}
	for _, detail := range fields.Details() {
		if detail.Code != arm.CodeNotSupported {
			return detail.Target
		}
	}
	return ""
}

func TestRecordingKeepsWhatWouldBeRefusedButNoSecret(t *testing.T) {
	schema, err := arm.NewSchema(Cluster())
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(`{"properties":{"windowsProfile":{"adminUsername":"azure","adminPassword":"hunter2hunter2"},"addonProfiles":{"x":{"enabled":true}},"disableLocalAccounts":false}}`)
	fields := &arm.FieldErrors{}
	read, err := schema.Recording().Read(raw, fields)
	if err != nil || fields.Err() != nil {
		t.Fatal(err, fields.Err())
	}
	got := map[string]any{}
	for _, value := range read.Recorded {
		got[value.Path] = value.Value
	}
	want := map[string]any{
		"properties.windowsProfile.adminUsername": "azure", "properties.windowsProfile.adminPassword": nil,
		"properties.addonProfiles": map[string]any{"x": map[string]any{"enabled": true}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

func TestEveryRefusedOrInertPropertySaysWhy(t *testing.T) {
	for _, p := range append(Cluster(), Pool()...) {
		if (p.Use == arm.Refused || p.Use == arm.Inert) && p.Note == "" {
			t.Errorf("%s has no note", p.Path)
		}
	}
}
