package identity

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// BenchmarkToken is one token by secret, from the parsed HTTP request to the
// answer, over a store in memory.
func BenchmarkToken(b *testing.B) {
	const tenant, app = "11111111-1111-4111-8111-111111111111", "33333333-3333-4333-8333-333333333333"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, authorizationv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			b.Fatal(err)
		}
	}
	store := fake.NewClientBuilder().WithScheme(scheme).Build()
	s, err := NewService(b.Context(), Options{Client: store, TenantID: tenant, PublicURL: "https://berth.example"})
	if err != nil {
		b.Fatal(err)
	}
	secret := NewSecret()
	if err := store.Create(b.Context(), &authorizationv1alpha1.ServicePrincipal{ObjectMeta: metav1.ObjectMeta{Name: app}, Spec: authorizationv1alpha1.ServicePrincipalSpec{
		TenantID: tenant, ObjectID: app, Passwords: []authorizationv1alpha1.PasswordCredential{{KeyID: "k", Hash: s.HashSecret(secret)}},
	}}); err != nil {
		b.Fatal(err)
	}
	var handle arm.Handler
	for _, route := range s.Routes() {
		if route.Pattern == "/adfs/oauth2/token" {
			handle = route.Handle
		}
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app}, "client_secret": {secret}, "scope": {"https://berth.example/.default"}}.Encode()
	for b.Loop() {
		raw := httptest.NewRequest(http.MethodPost, "https://berth.example/adfs/oauth2/token", strings.NewReader(form))
		raw.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		if err := handle(w, arm.NewRequest(w, raw, "local", time.Now())); err != nil || w.Code != http.StatusOK {
			b.Fatalf("%v %d %s", err, w.Code, w.Body)
		}
	}
}
