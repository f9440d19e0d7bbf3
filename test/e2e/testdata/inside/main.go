// Command inside runs in a pod while its cluster's authorities are replaced. It
// is a webhook that admits everything, and an old client: it reads the cluster's
// bundle once, at its start, and calls the API server over a new connection each
// time. It prints the certificate of its webhook first, then each failed call,
// and how many calls it made when it is asked at /calls.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	var calls atomic.Int64
	go call(&calls)
	http.HandleFunc("/calls", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, calls.Load()) })
	go func() { fail(http.ListenAndServe(":8080", nil)) }()
	admit := http.NewServeMux()
	admit.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request, _ := review["request"].(map[string]any)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": map[string]any{"uid": request["uid"], "allowed": true},
		})
	})
	certificate, public := identity(os.Args[1])
	fmt.Println(base64.StdEncoding.EncodeToString(public))
	server := http.Server{Addr: ":8443", Handler: admit, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	fail(server.ListenAndServeTLS("", ""))
}

// call calls the API server until the pod ends.
func call(calls *atomic.Int64) {
	bundle, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		fail(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(bundle)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	for ; ; time.Sleep(100 * time.Millisecond) {
		token, err := os.ReadFile(account + "token")
		if err != nil {
			fail(err)
		}
		request, err := http.NewRequest(http.MethodGet, "https://kubernetes.default.svc/version", nil)
		if err != nil {
			fail(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		response, err := client.Do(request)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = fmt.Errorf("%d: %.200s", response.StatusCode, body)
			}
		}
		if err != nil {
			fmt.Println("failed", time.Now().UTC().Format(time.TimeOnly), err)
		}
		calls.Add(1)
	}
}

// identity is a certificate of the webhook's own, for one name.
func identity(name string) (tls.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		fail(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func fail(err error) {
	fmt.Println("ended:", err)
	os.Exit(1)
}
