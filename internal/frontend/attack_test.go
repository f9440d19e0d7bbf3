package frontend_test

import (
	"bufio"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestATokenThatIsNotExactlyRightIsRefused(t *testing.T) {
	r := newRig(t)
	r.group()
	var secret corev1.Secret
	if err := r.store.Get(t.Context(), client.ObjectKey{Namespace: "berth-system", Name: "token-signing-key"}, &secret); err != nil {
		t.Fatal(err)
	}
	own := privateKey(t, secret.Data["key.pem"])
	other, _ := certificate(t, 2048, time.Now().Add(time.Hour))
	parsed, err := jwt.ParseSigned(r.token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	kid := parsed.Headers[0].KeyID
	var good map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.token, ".")[1])
	if err != nil || json.Unmarshal(payload, &good) != nil {
		t.Fatal(err)
	}
	sign := func(key any, algorithm jose.SignatureAlgorithm, kid string, change map[string]any) string {
		t.Helper()
		made, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		claims := maps.Clone(good)
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
	if a := r.call("GET", groupPath, "", "Authorization", "Bearer "+sign(own, jose.RS256, kid, nil)); a.status != http.StatusOK {
		t.Fatalf("the test's own signature is not accepted, so it proves nothing: %d %s", a.status, a.raw)
	}
	now := time.Now()
	for name, token := range map[string]string{
		"expired":                     sign(own, jose.RS256, kid, map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}),
		"without an end":              sign(own, jose.RS256, kid, map[string]any{"exp": nil}),
		"from the future":             sign(own, jose.RS256, kid, map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"for another audience":        sign(own, jose.RS256, kid, map[string]any{"aud": "https://elsewhere.example"}),
		"for two audiences":           sign(own, jose.RS256, kid, map[string]any{"aud": []string{r.server.URL, "https://elsewhere.example"}}),
		"for no audience":             sign(own, jose.RS256, kid, map[string]any{"aud": nil}),
		"of another tenant":           sign(own, jose.RS256, kid, map[string]any{"tid": subscriptionID}),
		"of another issuer":           sign(own, jose.RS256, kid, map[string]any{"iss": "https://elsewhere.example/" + subscriptionID + "/v2.0"}),
		"of nobody":                   sign(own, jose.RS256, kid, map[string]any{"oid": nil}),
		"with a number for a name":    sign(own, jose.RS256, kid, map[string]any{"oid": 5}),
		"of another key":              sign(other, jose.RS256, kid, nil),
		"of another key, by its name": sign(other, jose.RS256, "other", nil),
		"of no named key":             sign(own, jose.RS256, "", nil),
		"of another algorithm":        sign(own, jose.PS256, kid, nil),
		"signed with the public key":  sign([]byte(own.PublicKey.N.String()), jose.HS256, kid, nil),
		"cut off":                     r.token[:len(r.token)-10],
		"doubled":                     r.token + "." + r.token,
	} {
		t.Run(name, func(t *testing.T) {
			a := r.call("GET", groupPath, "", "Authorization", "Bearer "+token)
			if code, _, _ := a.errorOf(); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" || strings.Contains(a.raw, token) {
				t.Errorf("answered %d %s %s", a.status, code, a.raw)
			}
		})
	}
}

// privateKey reads a key as the service stores it.
func privateKey(t *testing.T, content []byte) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode(content)
	if block == nil {
		t.Fatal("the stored key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

// raw sends a request line as it is and returns the status and the answer's text.
func (r *rig) raw(method, target, body string, header ...string) (int, string) {
	r.t.Helper()
	connection, err := tls.Dial("tcp", r.server.Listener.Addr().String(), r.server.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		r.t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	host := strings.TrimPrefix(r.server.URL, "https://")
	request := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nAuthorization: Bearer " + r.token + "\r\n" + strings.Join(header, "")
	if _, err := connection.Write([]byte(request + "\r\n" + body)); err != nil {
		r.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	var text strings.Builder
	_ = response.Header.Write(&text)
	return response.StatusCode, text.String()
}

func TestNoPathReachesWhatAnotherWouldNot(t *testing.T) {
	r := newRig(t)
	r.group()
	if a := r.call("PUT", strings.Replace(groupPath, "/rg", "/second", 1), `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	r.token, r.writes = r.tokenOf(readerID), 0
	// The reader may read the group rg; none of these may lead to "second" or to a write.
	for _, path := range []string{
		groupPath + "/../second", groupPath + "/%2e%2e/second", groupPath + "%2f..%2fsecond", groupPath + "%2F%2E%2E%2Fsecond", groupPath + "/..%5csecond",
		groupPath + "%5c..%5csecond", "//" + groupPath[1:] + "//..//second", groupPath + "%00/../second", groupPath + "%00", groupPath + "/%ff%fe",
		groupPath + "%2fproviders%2fMicrosoft.ContainerService%2fmanagedClusters%2fx", strings.ToUpper(strings.Replace(groupPath, "/rg", "/second", 1)),
		"//" + strings.Replace(groupPath, "/rg", "//second", 1)[1:], groupPath + "%252f..%252fsecond", groupPath + ";/second", groupPath + "/%", groupPath + "%0d%0aX-Injected:%201",
	} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			status, text := r.raw(method, path+"?api-version=2021-04-01", "")
			if status < 400 || status >= 500 || strings.Contains(text, "X-Injected:") {
				t.Errorf("%s %s: %d %s", method, path, status, text)
			}
		}
	}
	if status, _ := r.raw("GET", "//"+strings.ReplaceAll(strings.ToUpper(groupPath[1:]), "/", "//")+"?api-version=2021-04-01", ""); status != http.StatusOK {
		t.Errorf("doubled slashes and capitals to what may be read: %d", status)
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func TestHeadersAndBodiesThatAreMadeToHarmAreRefused(t *testing.T) {
	r := newRig(t)
	r.group()
	a := r.call("GET", groupPath, "", "x-ms-correlation-request-id", "a b\tc", "x-ms-client-request-id", strings.Repeat("x", 5000), "x-ms-return-client-request-id", "true")
	if id := a.header.Get("x-ms-correlation-request-id"); a.status != http.StatusOK || strings.ContainsAny(id, " \t") || a.header.Get("x-ms-client-request-id") != "" {
		t.Errorf("ids that no log should hold came back: %v", a.header)
	}
	for name, body := range map[string]string{
		"lists without end":             strings.Repeat("[", 100_000),
		"objects without end":           strings.Repeat(`{"tags":`, 100_000),
		"a property twice":              `{"location":"local","location":"mars"}`,
		"properties twice":              `{"location":"local","tags":{"a":"b"},"tags":{}}`,
		"a property in two spellings":   `{"location":"local","LOCATION":"mars"}`,
		"a tag twice":                   `{"location":"local","tags":{"a":"b","a":"c"}}`,
		"a number without end":          `{"location":` + strings.Repeat("9", 100_000) + `}`,
		"an exponent beyond all":        `{"location":1e999999999}`,
		"a key without end":             `{"` + strings.Repeat("k", 1<<20) + `":1}`,
		"half a character":              "{\"location\":\"\xff\xfe\",\"x\":1}",
		"text that is none":             "{\"location\":\"local\",\"tags\":{\"a\":\"\xff\"},\"properties\":{\"displayName\":\"\xff\"}}",
		"a text with NUL":               `{"location":"local","tags":{"a":"b\u0000c"},"properties":{"displayName":"a\u0000b"}}`,
		"a key with NUL":                `{"location":"local","tags":{"a\u0000":"b"}}`,
		"what only looks like an array": `{"location":["local"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			r.writes = 0
			for _, path := range []string{groupPath, clusterPath, clusterPath + "/agentPools/a", groupPath + assignmentsIn + assignmentName + "?api-version=2022-04-01",
				groupPath + rolesIn + roleName + "?api-version=2022-04-01", principalPath + berthVersion} {
				if a := r.call("PUT", path, body); a.status < 400 || a.status >= 500 || len(a.raw) > 20_000 {
					t.Errorf("%s: %d with %d bytes", path, a.status, len(a.raw))
				}
			}
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
}
