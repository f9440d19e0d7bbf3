package frontend_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/throttle"
)

func TestNothingButTheWayToATokenIsAnonymous(t *testing.T) {
	r := newRig(t)
	r.token = ""
	for _, path := range []string{"/subscriptions", "/tenants", groupPath, clusterPath, "/nothing/here", "/"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+path+"?api-version=2021-04-01", nil)
		if err != nil {
			t.Fatal(err)
		}
		a := r.do(request)
		check(t, a, want{401, "AuthenticationFailed", "", "header is missing"})
		if !strings.Contains(a.header.Get("WWW-Authenticate"), `authorization_uri="`+r.server.URL+"/"+tenantID) {
			t.Errorf("%s: the challenge is %q", path, a.header.Get("WWW-Authenticate"))
		}
	}
	for _, path := range []string{"/adfs/.well-known/openid-configuration", "/" + tenantID + "/v2.0/.well-known/openid-configuration",
		"/" + tenantID + "/discovery/v2.0/keys", "/metadata/endpoints?api-version=2022-09-01"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := r.do(request); a.status != http.StatusOK || a.body == nil {
			t.Errorf("%s: %d %s", path, a.status, a.raw)
		}
	}
}

func TestAForgedExpiredOrForeignTokenIsRefused(t *testing.T) {
	r := newRig(t)
	parts := strings.Split(r.token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for claim, value := range map[string]any{"oid": ownerObject, "appid": ownerID, "tid": tenantID, "idtyp": "app", "iss": r.server.URL + "/" + tenantID + "/v2.0", "aud": r.server.URL} {
		if claims[claim] != value {
			t.Errorf("the claim %s is %v, want %v", claim, claims[claim], value)
		}
	}
	claims["oid"] = "someone else"
	changed, _ := json.Marshal(claims)
	hmacSigner, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte("0123456789abcdef0123456789abcdef")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	symmetric, err := jwt.Signed(hmacSigner).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	graph := r.form(t, "/"+tenantID+"/oauth2/v2.0/token", url.Values{"scope": {r.server.URL + "/graph/.default"}})
	for name, c := range map[string]struct{ header, code string }{
		"a changed payload":     {"Bearer " + parts[0] + "." + base64.RawURLEncoding.EncodeToString(changed) + "." + parts[2], "InvalidAuthenticationToken"},
		"another algorithm":     {"Bearer " + symmetric, "InvalidAuthenticationToken"},
		"no algorithm":          {"Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "InvalidAuthenticationToken"},
		"no token":              {"Bearer x", "InvalidAuthenticationToken"},
		"another scheme":        {"Basic eDp5", "AuthenticationFailedInvalidHeader"},
		"a token for the graph": {"Bearer " + graph.body["access_token"].(string), "InvalidAuthenticationTokenAudience"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, r.call("GET", groupPath, "", "Authorization", c.header), want{401, c.code, "", ""})
		})
	}
	late := newRig(t, func(c *frontend.Config) {
		tokens, err := identity.NewService(t.Context(), identity.Options{Client: c.Client, TenantID: tenantID, PublicURL: c.PublicURL,
			Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens = tokens
	})
	token := late.token
	fresh, err := identity.NewService(t.Context(), identity.Options{Client: late.store, TenantID: tenantID, PublicURL: "https://berth.example"})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := frontend.New(frontend.Config{Client: late.store, History: late.history, Tokens: fresh, TenantID: tenantID, Location: "local"})
	if err != nil {
		t.Fatal(err)
	}
	late.server.Config.Handler = handler
	late.token = token
	check(t, late.call("GET", groupPath, ""), want{401, "ExpiredAuthenticationToken", "", "earlier than current"})
}

// form asks for a token with the owner's credentials and what is given.
func (r *rig) form(t testing.TB, path string, values url.Values) answer {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {ownerID}, "client_secret": {secret}}
	for name, value := range values {
		if form[name] = value; value[0] == "" {
			form.Del(name)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.do(request)
}

func TestTheTokenEndpointAnswersAsClientsExpect(t *testing.T) {
	r := newRig(t)
	path, scope := "/"+tenantID+"/oauth2/v2.0/token", r.server.URL+"/.default"
	for name, c := range map[string]struct {
		path        string
		values      url.Values
		status      int
		error, code string
	}{
		"a wrong secret":         {path, url.Values{"scope": {scope}, "client_secret": {"no"}}, 401, "invalid_client", "AADSTS7000215"},
		"an unknown client":      {path, url.Values{"scope": {scope}, "client_id": {tenantID}}, 400, "unauthorized_client", "AADSTS700016"},
		"a client that is no id": {path, url.Values{"scope": {scope}, "client_id": {"x\r\ny"}}, 400, "unauthorized_client", "AADSTS700016"},
		"another tenant":         {"/other/oauth2/v2.0/token", url.Values{"scope": {scope}}, 400, "invalid_request", "AADSTS90002"},
		"another grant":          {path, url.Values{"scope": {scope}, "grant_type": {"password"}}, 400, "unsupported_grant_type", "AADSTS70003"},
		"a code":                 {path, url.Values{"scope": {scope}, "grant_type": {"authorization_code"}, "code": {"x"}}, 400, "unsupported_grant_type", "AADSTS70003"},
		"a refresh token":        {path, url.Values{"scope": {scope}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, "unsupported_grant_type", "AADSTS70003"},
		"an assertion as grant":  {path, url.Values{"scope": {scope}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}, 400, "unsupported_grant_type", "AADSTS70003"},
		"no grant":               {path, url.Values{"scope": {scope}, "grant_type": {""}}, 400, "invalid_request", "AADSTS900144"},
		"no client":              {path, url.Values{"scope": {scope}, "client_id": {""}}, 400, "invalid_request", "AADSTS900144"},
		"a secret in the URL":    {path + "?client_secret=" + url.QueryEscape(secret), url.Values{"scope": {scope}, "client_secret": {""}}, 400, "invalid_request", "AADSTS900144"},
		"an unknown assertion":   {path, url.Values{"scope": {scope}, "client_assertion": {"x"}, "client_assertion_type": {"saml"}}, 400, "invalid_request", "AADSTS900144"},
		"the library's health":   {"/healthz", url.Values{}, 401, "", ""},
		"no scope":               {path, url.Values{}, 400, "invalid_request", "AADSTS900144"},
		"no secret":              {path, url.Values{"scope": {scope}, "client_secret": {""}}, 400, "invalid_request", "AADSTS900144"},
		"a scope of one name":    {path, url.Values{"scope": {r.server.URL + "/user"}}, 400, "invalid_scope", "AADSTS1002012"},
		"another resource":       {path, url.Values{"scope": {"https://elsewhere/.default"}}, 400, "invalid_resource", "AADSTS500011"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.form(t, c.path, c.values)
			description, _ := a.body["error_description"].(string)
			if said, _ := a.body["error"].(string); a.status != c.status || said != c.error || !strings.HasPrefix(description, c.code) {
				t.Errorf("answered %d %s", a.status, a.raw)
			}
		})
	}
	for name, c := range map[string]struct {
		path   string
		values url.Values
	}{
		"the version 2 endpoint": {path, url.Values{"scope": {scope}}},
		"a doubled slash":        {path, url.Values{"scope": {r.server.URL + "//.default"}}},
		"the adfs endpoint":      {"/adfs/oauth2/token", url.Values{"scope": {scope}}},
		"the version 1 endpoint": {"/" + tenantID + "/oauth2/token", url.Values{"resource": {r.server.URL + "/"}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.form(t, c.path, c.values)
			token, _ := a.body["access_token"].(string)
			if a.status != 200 || a.header.Get("Cache-Control") != "no-store, no-cache" {
				t.Fatalf("answered %d %s", a.status, a.raw)
			}
			if got := r.call("GET", "/subscriptions", "", "Authorization", "Bearer "+token); got.status != http.StatusOK {
				t.Errorf("the token is answered %d %s", got.status, got.raw)
			}
		})
	}
}

func TestAReaderOfOneGroupReadsItAndNothingElse(t *testing.T) {
	r := made(t)
	if a := r.call("PUT", strings.Replace(groupPath, "/rg", "/second", 1), `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	r.ready()
	r.token, r.writes = r.tokenOf(readerID), 0
	for _, path := range []string{groupPath, clusterPath, groupPath + "/providers/Microsoft.ContainerService/managedClusters", "/subscriptions/" + subscriptionID} {
		if a := r.call("GET", path, ""); a.status != http.StatusOK {
			t.Errorf("reading %s: %d %s", path, a.status, a.raw)
		}
	}
	groups := r.call("GET", "/subscriptions/"+subscriptionID+"/resourceGroups", "")
	if list := groups.body["value"].([]any); len(list) != 1 || list[0].(map[string]any)["name"] != "rg" {
		t.Errorf("the reader sees the groups %s", groups.raw)
	}
	denied := map[string][3]string{
		"writing":            {"PUT", clusterPath, body("", "")},
		"deleting":           {"DELETE", clusterPath, ""},
		"admin credentials":  {"POST", clusterPath + "/listClusterAdminCredential", ""},
		"user credentials":   {"POST", clusterPath + "/listClusterUserCredential", ""},
		"another group":      {"GET", strings.Replace(groupPath, "/rg", "/second", 1), ""},
		"a list of all":      {"GET", "/subscriptions/" + subscriptionID + "/providers/Microsoft.ContainerService/managedClusters", ""},
		"what is not built":  {"POST", clusterPath + "/stop", ""},
		"a prefix of a name": {"GET", strings.Replace(groupPath, "/rg", "/rgx", 1), ""},
	}
	for name, c := range denied {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c[0], c[1], c[2]), want{403, "AuthorizationFailed", "", "with object id '" + readerObject + "' does not have authorization to perform action 'Microsoft."})
		})
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func TestAnOperationIsPolledByWhoStartedItOrMayReadItsResource(t *testing.T) {
	r := newRig(t)
	r.group()
	a := r.call("PUT", clusterPath, body("", ""))
	poll := strings.TrimPrefix(a.header.Get("Azure-AsyncOperation"), r.server.URL)
	cluster := r.cluster()
	cluster.Status.Progress = append(cluster.Status.Progress, progress("cluster", "NetworkReady", "waiting for the network"))
	if err := r.store.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	owner := r.call("GET", poll, "")
	properties, _ := owner.body["properties"].(map[string]any)
	if owner.status != 200 || owner.body["status"] != "InProgress" || properties["phase"] != "NetworkReady" || properties["message"] != "waiting for the network" {
		t.Errorf("the owner's poll: %s", owner.raw)
	}
	owned := r.token
	r.token = r.tokenOf(readerID)
	if reader := r.call("GET", poll, ""); reader.status != 200 {
		t.Errorf("the reader's poll: %d %s", reader.status, reader.raw)
	}
	r.token = owned
	r.finish()
	if done := r.call("GET", poll, ""); done.body["status"] != "Succeeded" || done.body["endTime"] == nil {
		t.Errorf("the poll after the end: %s", done.raw)
	}
	other := strings.Replace(poll, subscriptionID, "99999999-2222-4222-8222-222222222222", 1)
	if a := r.call("GET", other, ""); a.status != 404 {
		t.Errorf("the poll under another subscription: %d", a.status)
	}
}

func TestConditionalRequestsKeepLateWritersOut(t *testing.T) {
	r := made(t)
	pool := clusterPath + "/agentPools/nodepool1"
	clusterTag, _ := r.call("GET", clusterPath, "").body["eTag"].(string)
	poolTag, _ := r.call("GET", pool, "").body["properties"].(map[string]any)["eTag"].(string)
	if clusterTag == "" || poolTag == "" || clusterTag == poolTag {
		t.Fatalf("the tags are %q and %q", clusterTag, poolTag)
	}
	check(t, r.call("PUT", clusterPath, `{"location":"local"}`, "If-None-Match", "*"), want{412, "PreConditionFailed", "", "exists already"})
	check(t, r.call("PUT", clusterPath, `{"location":"local"}`, "If-Match", "other"), want{412, "PreConditionFailed", "", "has changed"})
	check(t, r.call("PUT", clusterPath, `{"location":"local"}`, "If-None-Match", "x"), want{400, "BadRequest", "If-None-Match", ""})
	check(t, r.call("PUT", clusterPath, `{"location":"local"}`, "If-None-Match", "*", "If-Match", "*"), want{400, "BadRequest", "", "both"})
	check(t, r.call("PUT", clusterPath+"/agentPools/new", `{"properties":{}}`, "If-Match", "*"), want{412, "PreConditionFailed", "", "does not exist"})
	if a := r.call("PUT", pool, `{"properties":{"count":2}}`, "If-Match", poolTag); a.status != http.StatusOK {
		t.Fatalf("with the right tag: %d %s", a.status, a.raw)
	}
	r.finish()
	check(t, r.call("PUT", pool, `{"properties":{"count":3}}`, "If-Match", poolTag), want{412, "PreConditionFailed", "", "has changed"})
	if now, _ := r.call("GET", clusterPath, "").body["eTag"].(string); now != clusterTag {
		t.Error("an operation on a pool changed the tag of the cluster")
	}
}

func TestTheAccessLogHasIdsAndNoSecrets(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(c *frontend.Config) {
		c.Log, c.Throttle = slog.New(slog.NewJSONHandler(&log, nil)), throttle.Generous
	})
	a := r.call("PUT", groupPath+"?x=query-secret", `{"location":"local","tags":{"a":"body-secret"}}`,
		"x-ms-correlation-request-id", "my-correlation", "x-ms-client-request-id", "my-request", "x-ms-return-client-request-id", "true")
	if a.header.Get("x-ms-correlation-request-id") != "my-correlation" || a.header.Get("x-ms-client-request-id") != "my-request" {
		t.Errorf("the headers are %v", a.header)
	}
	for _, name := range []string{"x-ms-request-id", "x-ms-routing-request-id", "x-ms-ratelimit-remaining-subscription-writes", "Cache-Control", "Strict-Transport-Security", "X-Content-Type-Options"} {
		if a.header.Get(name) == "" {
			t.Errorf("no header %s", name)
		}
	}
	text := log.String()
	if !strings.Contains(text, "my-correlation") || !strings.Contains(text, ownerObject) || !strings.Contains(text, `"status":201`) {
		t.Errorf("the log is %s", text)
	}
	for _, word := range []string{r.token, secret, "body-secret", "query-secret"} {
		if strings.Contains(text, word) {
			t.Errorf("the log holds %q", word)
		}
	}
}

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := newRig(t)
	server := frontend.Server(r.server.Config.Handler)
	if server.ReadHeaderTimeout == 0 || server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.IdleTimeout == 0 || server.MaxHeaderBytes == 0 {
		t.Fatalf("a limit is missing: %+v", server)
	}
	server.ReadTimeout, server.ReadHeaderTimeout = 300*time.Millisecond, 300*time.Millisecond
	slow := serveTLS(t, r, server)
	start := time.Now()
	response, err := io.ReadAll(slow("GET / HTTP/1.1\r\nHost: x\r\n"))
	if took := time.Since(start); took > 10*time.Second || strings.Contains(string(response), "200 OK") {
		t.Errorf("a client that stops in its headers: %q %v after %v", response, err, took)
	}
	start = time.Now()
	response, err = io.ReadAll(slow("PUT " + groupPath + "?api-version=2021-04-01 HTTP/1.1\r\nHost: " + strings.TrimPrefix(r.server.URL, "https://") +
		"\r\nAuthorization: Bearer " + r.token + "\r\nContent-Length: 100\r\n\r\n{"))
	if took := time.Since(start); took > 10*time.Second || !strings.Contains(string(response), "RequestTimeout") {
		t.Errorf("a client that stops in its body: %q %v after %v", response, err, took)
	}
}
