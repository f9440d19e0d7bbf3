package property

import (
	"encoding/json"
	"reflect"
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

func TestEveryPropertyOfTheSDKIsInTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		model      any
		properties []arm.Property
	}{
		"managed cluster": {&armcontainerservice.ManagedCluster{}, Cluster()},
		"agent pool":      {&armcontainerservice.AgentPool{}, Pool()},
	} {
		t.Run(name, func(t *testing.T) {
			fill(reflect.ValueOf(c.model).Elem(), 0)
			raw, err := json.Marshal(c.model)
			if err != nil {
				t.Fatal(err)
			}
			schema, err := arm.NewSchema(c.properties)
			if err != nil {
				t.Fatal(err)
			}
			fields := &arm.FieldErrors{}
			if _, err := schema.Read(raw, fields); err != nil {
				t.Fatal(err)
			}
			if len(fields.Details()) == 0 {
				t.Error("a body that asks for everything was accepted")
			}
			for _, detail := range fields.Details() {
				if detail.Code != arm.CodeNotSupported {
					t.Errorf("%s: %s", detail.Target, detail.Message)
				}
			}
		})
	}
}

func TestEveryRefusedOrInertPropertySaysWhy(t *testing.T) {
	for _, p := range append(Cluster(), Pool()...) {
		if (p.Use == arm.Refused || p.Use == arm.Inert) && p.Note == "" {
			t.Errorf("%s has no note", p.Path)
		}
	}
}
