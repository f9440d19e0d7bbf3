package frontend_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1alpha1 "berth.dev/berth/api/host/v1alpha1"
	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/identity"
)

const (
	tenantID       = "11111111-1111-4111-8111-111111111111"
	subscriptionID = "22222222-2222-4222-8222-222222222222"
	ownerID        = "33333333-3333-4333-8333-333333333333"
	readerID       = "44444444-4444-4444-8444-444444444444"
	ownerObject    = "55555555-5555-4555-8555-555555555555"
	readerObject   = "66666666-6666-4666-8666-666666666666"
	secret         = "correct horse battery staple"
	aksVersion     = "2025-02-01"
)

// records are ended operations, which tests write as controllers do.
type records interface {
	frontend.History
	Put(record history.Record) error
}

// rig is a whole front end over a store in memory. Tests play the controllers
// by writing objects.
type rig struct {
	t       testing.TB
	server  *httptest.Server
	handler http.Handler // of the front end, the first if there are two
	store   client.WithWatch
	history records
	// writes counts the writes to the store, to see that refused requests make none.
	writes   int
	counting sync.Mutex
	token    string
}

func newRig(t testing.TB, change ...func(*frontend.Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	r.store = newStore(t, func(client.Object) {
		r.counting.Lock()
		defer r.counting.Unlock()
		r.writes++
	})
	file, err := history.Open(filepath.Join(t.TempDir(), "history.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	r.history = file
	if os.Getenv(realManagement) != "" {
		r.history = history.NewShared(r.store)
	}
	r.serve(frontend.Config{History: r.history}, change...)
	return r
}

// serve starts a front end over the rig's store; two over a real one, which take
// turns.
func (r *rig) serve(config frontend.Config, change ...func(*frontend.Config)) {
	r.t.Helper()
	r.handler = r.frontend(&config, change...)
	handler := r.handler
	if os.Getenv(realManagement) != "" {
		handler = r.inTurns(config, change...)
	}
	r.server = httptest.NewTLSServer(handler)
	r.t.Cleanup(r.server.Close)
	r.token = r.tokenOf(ownerID)
	r.writes = 0
}

// frontend makes a front end over the rig's store.
func (r *rig) frontend(config *frontend.Config, change ...func(*frontend.Config)) http.Handler {
	r.t.Helper()
	tokens, err := identity.NewService(r.t.Context(), identity.Options{Client: r.store, TenantID: tenantID, PublicURL: "https://berth.example"})
	if err != nil {
		r.t.Fatal(err)
	}
	config.Client, config.Tokens, config.TenantID, config.Location, config.DNSZone = r.store, tokens, tenantID, "local", "berth.internal"
	config.PublicURL, config.Registerer = "https://berth.example", prometheus.NewRegistry()
	for _, f := range change {
		f(config)
	}
	handler, err := frontend.New(*config)
	if err != nil {
		r.t.Fatal(err)
	}
	return handler
}

// newStore is a management API that tells of every write before it does it: in
// memory, or a real one if the environment names it (see real_test.go).
func newStore(t testing.TB, wrote func(client.Object)) client.WithWatch {
	t.Helper()
	told := interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			wrote(o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			wrote(o)
			return c.Update(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			wrote(o)
			return c.Delete(ctx, o, opts...)
		},
	}
	if os.Getenv(realManagement) != "" {
		return interceptor.NewClient(realStore(t), told)
	}
	return fake.NewClientBuilder().WithScheme(newScheme(t)).
		WithStatusSubresource(&containerservicev1alpha1.ManagedCluster{}, &containerservicev1alpha1.AgentPool{}, &resourcesv1alpha1.Operation{}, &hostv1alpha1.Host{}, &containerservicev1alpha1.ClusterCommand{}, &containerservicev1alpha1.ControlPlane{},
			&networkv1alpha1.VirtualNetwork{}, &networkv1alpha1.AddressReservation{}).
		WithObjects(seed()...).WithInterceptorFuncs(told).Build()
}

// newScheme has the kinds that the front end reads and writes.
func newScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, authorizationv1alpha1.AddToScheme, containerservicev1alpha1.AddToScheme,
		hostv1alpha1.AddToScheme, resourcesv1alpha1.AddToScheme, managedidentityv1alpha1.AddToScheme, networkv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

// signingKey is the Secret of the keys that sign tokens, as a first start makes
// it. It is made once: a real key takes longer than most of these tests.
var signingKey = sync.OnceValue(func() *corev1.Secret { //nolint:gochecknoglobals // made once for all tests
	store := fake.NewClientBuilder().Build() // its scheme has the kinds of Kubernetes
	if _, err := identity.NewService(context.Background(), identity.Options{Client: store, TenantID: tenantID}); err != nil {
		panic(err)
	}
	secret := &corev1.Secret{}
	if err := store.Get(context.Background(), client.ObjectKey{Namespace: "berth-system", Name: "token-signing-key"}, secret); err != nil {
		panic(err)
	}
	secret.ResourceVersion = ""
	return secret
})

// seed is an install as its first start leaves it, with one resource group.
func seed() []client.Object {
	key := bytes.Repeat([]byte("k"), 32)
	principal := func(appID, objectID string) client.Object {
		return &authorizationv1alpha1.ServicePrincipal{ObjectMeta: metav1.ObjectMeta{Name: appID}, Spec: authorizationv1alpha1.ServicePrincipalSpec{
			TenantID: tenantID, ObjectID: objectID, DisplayName: "test", Passwords: []authorizationv1alpha1.PasswordCredential{{KeyID: "k", Hash: identity.HashSecret(key, secret)}},
		}}
	}
	return []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: "client-secret-key"}, Data: map[string][]byte{"key": key}},
		signingKey().DeepCopy(),
		&authorizationv1alpha1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: authorizationv1alpha1.RoleAssignmentSpec{
			PrincipalID: ownerObject, RoleDefinitionID: identity.RoleTenantAdministrator, Scope: "/",
		}},
		&resourcesv1alpha1.Subscription{ObjectMeta: metav1.ObjectMeta{Name: subscriptionID}, Spec: resourcesv1alpha1.SubscriptionSpec{TenantID: tenantID, DisplayName: "Test", State: "Enabled"}},
		principal(ownerID, ownerObject), principal(readerID, readerObject),
		&authorizationv1alpha1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: authorizationv1alpha1.RoleAssignmentSpec{
			PrincipalID: ownerObject, RoleDefinitionID: identity.RoleOwner, Scope: "/subscriptions/" + subscriptionID,
		}},
		&authorizationv1alpha1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: authorizationv1alpha1.RoleAssignmentSpec{
			PrincipalID: readerObject, RoleDefinitionID: identity.RoleReader, Scope: "/subscriptions/" + subscriptionID + "/resourceGroups/RG",
		}},
		&hostv1alpha1.Host{ObjectMeta: metav1.ObjectMeta{Name: "local"},
			Spec:   hostv1alpha1.HostSpec{CPUOvercommit: 8, MemoryOvercommit: 2, PublicRange: "198.18.0.0/20"},
			Status: hostv1alpha1.HostStatus{CPUs: 2, MemoryMiB: 24 * 1024},
		},
	}
}

// tokenOf gets a token over the wire.
func (r *rig) tokenOf(clientID string) string { return r.tokenFor(clientID, r.server.URL) }

// tokenFor gets a token for a resource.
func (r *rig) tokenFor(clientID, resource string) string {
	r.t.Helper()
	credential, err := r.credential(clientID)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := credential.GetToken(r.t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return token.Token
}

func (r *rig) cloud() cloud.Configuration {
	return cloud.Configuration{
		ActiveDirectoryAuthorityHost: r.server.URL,
		Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: r.server.URL, Audience: r.server.URL}},
	}
}

func (r *rig) credential(clientID string) (azcore.TokenCredential, error) {
	return azidentity.NewClientSecretCredential(tenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            azcore.ClientOptions{Cloud: r.cloud(), Transport: r.server.Client()},
		DisableInstanceDiscovery: true,
	})
}

func (r *rig) options() *azarm.ClientOptions {
	return &azarm.ClientOptions{ClientOptions: policy.ClientOptions{Cloud: r.cloud(), Transport: r.server.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// errorOf is the code and target of an ARM error.
func (a answer) errorOf() (code, target, message string) {
	e, _ := a.body["error"].(map[string]any)
	code, _ = e["code"].(string)
	target, _ = e["target"].(string)
	message, _ = e["message"].(string)
	return code, target, message
}

// call makes a request with the owner's token; path may hold a query, the
// api-version is added if there is none.
func (r *rig) call(method, path, body string, header ...string) answer {
	r.t.Helper()
	separator := "?"
	if bytes.ContainsRune([]byte(path), '?') {
		separator = "&"
	}
	if !bytes.Contains([]byte(path), []byte("api-version")) {
		version := "2021-04-01"
		if bytes.Contains([]byte(path), []byte("ContainerService")) {
			version = aksVersion
		}
		path += separator + "api-version=" + version
	}
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, bytes.NewBufferString(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return r.do(request)
}

func (r *rig) do(request *http.Request) answer {
	r.t.Helper()
	response, err := r.server.Client().Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	return a
}

func (r *rig) group() {
	r.t.Helper()
	if a := r.call(http.MethodPut, groupPath, `{"location":"local"}`); a.status != http.StatusCreated {
		r.t.Fatalf("creating the group: %d %s", a.status, a.raw)
	}
	r.writes = 0
}

const (
	groupPath   = "/subscriptions/" + subscriptionID + "/resourceGroups/rg"
	clusterPath = groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo"
)

// cluster reads the only cluster.
func (r *rig) cluster() *containerservicev1alpha1.ManagedCluster {
	r.t.Helper()
	var list containerservicev1alpha1.ManagedClusterList
	if err := r.store.List(r.t.Context(), &list); err != nil {
		r.t.Fatal(err)
	}
	if len(list.Items) != 1 {
		r.t.Fatalf("there are %d clusters, want 1", len(list.Items))
	}
	return &list.Items[0]
}
