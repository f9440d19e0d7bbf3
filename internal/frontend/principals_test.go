package frontend_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
)

const (
	appID         = "cccccccc-0000-4000-8000-000000000001"
	principalPath = "/providers/Berth.Identity/servicePrincipals/" + appID
	berthVersion  = "?api-version=2026-11-01"
)

// clocked is a rig whose service reads a clock that the test moves.
func clocked(t *testing.T) (*rig, *time.Time) {
	now := time.Now().Truncate(time.Second)
	return newRig(t, func(c *frontend.Config) {
		clock := func() time.Time { return now }
		tokens, err := identity.NewService(t.Context(), identity.Options{Client: c.Client, TenantID: tenantID, PublicURL: c.PublicURL, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens, c.Now = tokens, clock
	}), &now
}

// asks asks for a token of the test's principal.
func (r *rig) asks(values url.Values) answer {
	r.t.Helper()
	all := url.Values{"scope": {r.server.URL + "/.default"}, "client_id": {appID}}
	for name, value := range values {
		all[name] = value
	}
	return r.form(r.t, "/"+tenantID+"/oauth2/v2.0/token", all)
}

// principal makes the test's principal.
func (r *rig) principal() {
	r.t.Helper()
	if a := r.call("PUT", principalPath+berthVersion, `{"properties":{"displayName":"robot"}}`); a.status != http.StatusCreated {
		r.t.Fatalf("%d %s", a.status, a.raw)
	}
}

func TestAServicePrincipalHasSeveralSecretsThatExpireAndRotate(t *testing.T) {
	r, now := clocked(t)
	r.principal()
	add := func(body string) (secret, id string) {
		a := r.call("POST", principalPath+"/addPassword"+berthVersion, body)
		if a.status != http.StatusOK || len(a.body["secretText"].(string)) < 52 {
			t.Fatalf("%d %s", a.status, a.raw)
		}
		return a.body["secretText"].(string), a.body["keyId"].(string)
	}
	first, firstID := add(`{"displayName":"ci","endDateTime":"` + now.Add(24*time.Hour).Format(time.RFC3339) + `"}`)
	second, _ := add("")
	for _, one := range []string{first, second} {
		if a := r.asks(url.Values{"client_secret": {one}}); a.status != http.StatusOK {
			t.Errorf("a secret: %d %s", a.status, a.raw)
		}
	}
	shown := r.call("GET", principalPath+berthVersion, "")
	if shown.status != http.StatusOK || strings.Contains(shown.raw, first) || strings.Contains(shown.raw, "hash") || !strings.Contains(shown.raw, firstID) || !strings.Contains(shown.raw, `"ci"`) {
		t.Errorf("the principal is shown as %s", shown.raw)
	}
	*now = now.Add(25 * time.Hour)
	r.token = r.tokenOf(ownerID)
	if a := r.asks(url.Values{"client_secret": {first}}); a.status != 401 || !strings.Contains(a.raw, "AADSTS7000222") {
		t.Errorf("an expired secret: %d %s", a.status, a.raw)
	}
	third, thirdID := add("{}")
	if a := r.call("POST", principalPath+"/removePassword"+berthVersion, `{"keyId":"`+thirdID+`"}`); a.status != http.StatusNoContent {
		t.Errorf("removing a secret: %d %s", a.status, a.raw)
	}
	check(t, r.call("POST", principalPath+"/removePassword"+berthVersion, `{"keyId":"`+thirdID+`"}`), want{404, "CredentialNotFound", "keyId", ""})
	if a := r.asks(url.Values{"client_secret": {third}}); a.status != 401 {
		t.Errorf("a removed secret: %d", a.status)
	}
	if a := r.asks(url.Values{"client_secret": {second}}); a.status != http.StatusOK {
		t.Errorf("the other secret: %d %s", a.status, a.raw)
	}
	check(t, r.call("POST", principalPath+"/addPassword"+berthVersion, `{"endDateTime":"2001-01-01T00:00:00Z"}`), want{400, "InvalidParameter", "endDateTime", "future"})
	if a := r.call("POST", principalPath+"/addPassword"+berthVersion, `{"endDateTime":"soon"}`); a.status != http.StatusBadRequest {
		t.Errorf("a time that is none: %d %s", a.status, a.raw)
	}
}

func TestADeletedServicePrincipalLosesItsRolesAtOnce(t *testing.T) {
	r := newRig(t)
	r.group()
	r.principal()
	object, _ := r.call("GET", principalPath+berthVersion, "").body["properties"].(map[string]any)["objectId"].(string)
	if a := r.assign(groupPath, assignmentName, object, identity.RoleReader); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	secret := r.call("POST", principalPath+"/addPassword"+berthVersion, "").body["secretText"].(string)
	token := r.asks(url.Values{"client_secret": {secret}}).body["access_token"].(string)
	if a := r.call("GET", groupPath, "", "Authorization", "Bearer "+token); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", principalPath+berthVersion, ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	check(t, r.call("GET", groupPath, "", "Authorization", "Bearer "+token), want{403, "AuthorizationFailed", "", ""})
	if a := r.asks(url.Values{"client_secret": {secret}}); a.status != 400 || !strings.Contains(a.raw, "AADSTS700016") {
		t.Errorf("a token for a deleted principal: %d %s", a.status, a.raw)
	}
	if a := r.call("DELETE", principalPath+berthVersion, ""); a.status != http.StatusNoContent {
		t.Errorf("deleting it again: %d", a.status)
	}
	check(t, r.call("DELETE", "/providers/Berth.Identity/servicePrincipals/"+ownerID+berthVersion, ""), want{409, "OperationNotAllowed", "", "itself"})
}

func TestOnlyAnAdministratorOfTheTenantTouchesCredentials(t *testing.T) {
	r := newRig(t)
	r.group()
	// Owner of the whole subscription, which says nothing about the tenant: a
	// secret added to another principal would be all of that principal's rights.
	if a := r.assign(subscriptionPath, assignmentName, readerObject, identity.RoleOwner); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.writes = 0
	r.as(readerID, func() {
		owner := "/providers/Berth.Identity/servicePrincipals/" + ownerID
		for _, c := range [][3]string{
			{"POST", owner + "/addPassword", "{}"}, {"POST", owner + "/addKey", "{}"}, {"POST", owner + "/removePassword", `{"keyId":"k"}`},
			{"PUT", principalPath, `{"properties":{"displayName":"x"}}`}, {"GET", owner, ""}, {"GET", "/providers/Berth.Identity/servicePrincipals", ""},
			{"DELETE", owner, ""}, {"POST", "/providers/Berth.Identity/rotateSigningKey", `{"revoke":true}`},
		} {
			check(t, r.call(c[0], c[1]+berthVersion, c[2]), want{403, "AuthorizationFailed", "", "Berth.Identity/"})
		}
	})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func TestWhoGuessesSecretsIsSlowedDownAndForgottenLater(t *testing.T) {
	inMemory(t, "each front end counts wrong guesses for itself")
	r, now := clocked(t)
	r.principal()
	secret := r.call("POST", principalPath+"/addPassword"+berthVersion, "").body["secretText"].(string)
	wrong := func() answer { return r.asks(url.Values{"client_secret": {"wrong"}}) }
	for i := range 5 {
		if a := wrong(); a.status != 401 {
			t.Fatalf("guess %d: %d %s", i, a.status, a.raw)
		}
	}
	blocked := r.asks(url.Values{"client_secret": {secret}})
	if blocked.status != 429 || blocked.header.Get("Retry-After") != "1" || !strings.Contains(blocked.raw, "AADSTS50196") {
		t.Errorf("after five wrong guesses: %d %s", blocked.status, blocked.raw)
	}
	*now = now.Add(time.Second)
	if a := wrong(); a.status != 401 {
		t.Errorf("after the wait: %d %s", a.status, a.raw)
	}
	if a := wrong(); a.status != 429 || a.header.Get("Retry-After") != "2" {
		t.Errorf("the wait after that: %d %s", a.status, a.header.Get("Retry-After"))
	}
	if a := r.form(t, "/"+tenantID+"/oauth2/v2.0/token", url.Values{"scope": {r.server.URL + "/.default"}}); a.status != http.StatusOK {
		t.Errorf("another client meanwhile: %d %s", a.status, a.raw)
	}
	*now = now.Add(2 * time.Second)
	if a := r.asks(url.Values{"client_secret": {secret}}); a.status != http.StatusOK {
		t.Errorf("the right secret after the wait: %d %s", a.status, a.raw)
	}
	if a := wrong(); a.status != 401 {
		t.Errorf("a wrong one after a right one: %d", a.status)
	}
}

// certificate is a key with its certificate, valid from an hour ago.
func certificate(t *testing.T, bits int, until time.Time) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "robot"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, parsed
}

// register adds a certificate to the test's principal.
func (r *rig) register(c *x509.Certificate) answer {
	content, err := json.Marshal(map[string]string{"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.call("POST", principalPath+"/addKey"+berthVersion, string(content))
}

func TestTheSDKLogsInWithACertificate(t *testing.T) {
	r := newRig(t)
	r.principal()
	key, parsed := certificate(t, 2048, time.Now().Add(24*time.Hour))
	if a := r.register(parsed); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	credential, err := azidentity.NewClientCertificateCredential(tenantID, appID, []*x509.Certificate{parsed}, key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: azcore.ClientOptions{Cloud: r.cloud(), Transport: r.server.Client()}, DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{r.server.URL + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.call("GET", "/subscriptions", "", "Authorization", "Bearer "+token.Token); a.status != http.StatusOK {
		t.Errorf("the token is answered %d %s", a.status, a.raw)
	}
	_, weak := certificate(t, 1024, time.Now().Add(time.Hour))
	check(t, r.register(weak), want{400, "InvalidParameter", "certificate", "2048"})
	_, old := certificate(t, 2048, time.Now().Add(-time.Hour))
	check(t, r.register(old), want{400, "InvalidParameter", "certificate", "expired"})
	check(t, r.call("POST", principalPath+"/addKey"+berthVersion, `{"certificate":"x"}`), want{400, "InvalidParameter", "certificate", "PEM"})
}

func TestAnAssertionThatIsNotExactlyRightIsRefused(t *testing.T) {
	inMemory(t, "each front end remembers used assertions for itself")
	r, now := clocked(t)
	r.principal()
	key, parsed := certificate(t, 2048, now.Add(24*time.Hour))
	if a := r.register(parsed); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	stranger, foreign := certificate(t, 2048, now.Add(24*time.Hour))
	endpoint := r.server.URL + "/" + tenantID + "/oauth2/v2.0/token"
	assert := func(algorithm jose.SignatureAlgorithm, signer any, named *x509.Certificate, change map[string]any) string {
		t.Helper()
		sum := sha256.Sum256(named.Raw)
		made, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: signer}, (&jose.SignerOptions{}).WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:])))
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{"iss": appID, "sub": appID, "aud": endpoint, "jti": uuid.NewString(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
		for name, value := range change {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		raw, err := jwt.Signed(made).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	ask := func(assertion string) answer {
		return r.asks(url.Values{"client_secret": {""}, "client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
	}
	once := assert(jose.PS256, key, parsed, nil)
	if a := ask(once); a.status != http.StatusOK {
		t.Fatalf("a right one: %d %s", a.status, a.raw)
	}
	for name, c := range map[string]struct{ assertion, why string }{
		"used twice":            {once, "used before"},
		"of another key":        {assert(jose.RS256, stranger, parsed, nil), "signature"},
		"of a strange key":      {assert(jose.RS256, stranger, foreign, nil), "not registered"},
		"of another algorithm":  {assert(jose.HS256, parsed.Raw[:64], parsed, nil), "RS256 or PS256"},
		"for another service":   {assert(jose.RS256, key, parsed, map[string]any{"aud": "https://elsewhere.example/token"}), "audience"},
		"for two services":      {assert(jose.RS256, key, parsed, map[string]any{"aud": []string{endpoint, "https://elsewhere.example"}}), "audience"},
		"of another client":     {assert(jose.RS256, key, parsed, map[string]any{"iss": ownerID}), "client id"},
		"about another client":  {assert(jose.RS256, key, parsed, map[string]any{"sub": ownerID}), "client id"},
		"that has expired":      {assert(jose.RS256, key, parsed, map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}), "expired"},
		"without an end":        {assert(jose.RS256, key, parsed, map[string]any{"exp": nil}), "expired"},
		"for an hour":           {assert(jose.RS256, key, parsed, map[string]any{"exp": now.Add(time.Hour).Unix()}), "ten minutes"},
		"without a name":        {assert(jose.RS256, key, parsed, map[string]any{"jti": nil}), "jti"},
		"that is none":          {"x.y.z", "no JWT"},
		"with algorithm none":   {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(once, ".")[1] + ".", "no JWT"},
		"whose time has passed": {"", "expired or is not valid yet"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.assertion == "" {
				*now = now.Add(48 * time.Hour)
				c.assertion = assert(jose.RS256, key, parsed, nil)
			}
			a := ask(c.assertion)
			if name == "whose time has passed" {
				*now = now.Add(-48 * time.Hour)
			}
			if description, _ := a.body["error_description"].(string); a.status != 401 || !strings.Contains(description, "AADSTS700027") || !strings.Contains(description, c.why) {
				t.Errorf("answered %d %s", a.status, a.raw)
			}
			// A right one clears what is counted for the back-off.
			if a := ask(assert(jose.RS256, key, parsed, nil)); a.status != http.StatusOK {
				t.Errorf("a right one after it: %d %s", a.status, a.raw)
			}
		})
	}
	if a := r.asks(url.Values{"client_secret": {""}, "client_assertion": {once}, "client_assertion_type": {"other"}}); a.status != 400 {
		t.Errorf("another type of assertion: %d %s", a.status, a.raw)
	}
}

func TestTokensOutliveARotationOfTheSigningKeyButNotARevocation(t *testing.T) {
	inMemory(t, "the other front end hears of a new key within a minute")
	r, now := clocked(t)
	const rotate = "/providers/Berth.Identity/rotateSigningKey" + berthVersion
	keys := func() int {
		return len(r.call("GET", "/"+tenantID+"/discovery/v2.0/keys", "").body["keys"].([]any))
	}
	old := r.token
	if a := r.call("POST", rotate, ""); a.status != http.StatusOK || keys() != 2 {
		t.Fatalf("rotating: %d %s, then %d keys", a.status, a.raw, keys())
	}
	r.token = r.tokenOf(ownerID)
	for name, token := range map[string]string{"before": old, "after": r.token} {
		if a := r.call("GET", "/subscriptions", "", "Authorization", "Bearer "+token); a.status != http.StatusOK {
			t.Errorf("a token from %s: %d %s", name, a.status, a.raw)
		}
	}
	check(t, r.call("POST", rotate, "{}"), want{409, "SigningKeyStillInUse", "", "revoke"})
	second, err := identity.NewService(t.Context(), identity.Options{Client: r.store, TenantID: tenantID, PublicURL: "https://berth.example", Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.call("POST", rotate, `{"revoke":true}`); a.status != http.StatusOK || keys() != 1 {
		t.Errorf("revoking: %d %s", a.status, a.raw)
	}
	check(t, r.call("GET", "/subscriptions", ""), want{401, "InvalidAuthenticationToken", "", "signature"})
	fresh := r.tokenOf(ownerID)
	handler, err := frontend.New(frontend.Config{Client: r.store, History: r.history, Tokens: second, TenantID: tenantID, Location: "local"})
	if err != nil {
		t.Fatal(err)
	}
	r.server.Config.Handler = handler
	*now = now.Add(time.Minute)
	check(t, r.call("GET", "/subscriptions", ""), want{401, "InvalidAuthenticationToken", "", "signature"})
	r.token = fresh
	if a := r.call("GET", "/subscriptions", ""); a.status != http.StatusOK {
		t.Errorf("a token of the new key at another front end: %d %s", a.status, a.raw)
	}
	*now = now.Add(31 * 24 * time.Hour)
	r.token = r.tokenOf(ownerID)
	if keys() != 2 {
		t.Errorf("a key that is too old was not replaced by itself")
	}
	*now = now.Add(2 * time.Hour)
	if keys() != 1 {
		t.Error("the previous key is shown after all its tokens have expired")
	}
}
