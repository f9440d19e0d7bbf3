package frontend_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// fuzzed is a rig that lives as long as a fuzz target and takes requests
// without a network in between.
type fuzzed struct {
	*rig
	// prepare makes what the requests meet.
	prepare func(*rig)
}

func newFuzzed(f *testing.F, recordValues bool, prepare func(*rig)) fuzzed {
	var r *rig
	if recordValues {
		r = newRig(f, recording)
	} else {
		r = newRig(f)
	}
	r.group()
	if prepare != nil {
		prepare(r)
	}
	r.writes = 0
	return fuzzed{r, prepare}
}

// send makes a request that may not make the service fail, and forgets what it wrote.
func (f fuzzed) send(t *testing.T, method, target, body string) {
	t.Helper()
	f.ask(t, method, target, body)
	if f.writes > 0 {
		f.forget(t)
	}
}

// ask makes a request that may not make the service fail; nil if no server would
// hand it on.
func (f fuzzed) ask(t *testing.T, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	f.t = t
	parsed, err := url.Parse(f.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Path, parsed.RawQuery, _ = strings.Cut(target, "?"); strings.Contains(parsed.Path, "%") {
		parsed.RawPath = parsed.Path
		if parsed.Path, err = url.PathUnescape(parsed.RawPath); err != nil {
			return nil
		}
	}
	request := &http.Request{Method: method, URL: parsed, Host: parsed.Host, Header: http.Header{"Authorization": {"Bearer " + f.token}},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	if body != "" {
		request.Body, request.ContentLength = readCloser{bytes.NewBufferString(body)}, int64(len(body))
	}
	answer := httptest.NewRecorder()
	f.server.Config.Handler.ServeHTTP(answer, request.WithContext(t.Context()))
	if answer.Code >= http.StatusInternalServerError && answer.Code != http.StatusNotImplemented {
		t.Errorf("%s %q with %q: %d %s", method, target, body, answer.Code, answer.Body)
	}
	return answer
}

type readCloser struct{ *bytes.Buffer }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }

// forget takes away the clusters and makes anew what the requests meet.
func (f fuzzed) forget(t *testing.T) {
	t.Helper()
	var list containerservicev1alpha1.ManagedClusterList
	if err := f.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		cluster := &list.Items[i]
		cluster.Finalizers = nil
		if err := f.store.Update(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
		if cluster.DeletionTimestamp != nil {
			continue // the store drops it with its last finalizer
		}
		if err := f.store.Delete(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
	}
	if f.prepare != nil {
		f.prepare(f.rig)
	}
	f.writes = 0
}

// withCluster makes the cluster whose creation has ended.
func withCluster(r *rig) {
	r.t.Helper()
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusCreated {
		r.t.Fatalf("creating the cluster: %d %s", a.status, a.raw)
	}
	r.finish()
}

// fuzzPut sends bodies to one path, to a service that refuses what is not
// supported and to one that records it.
func fuzzPut(f *testing.F, target string, prepare func(*rig), seeds ...string) {
	for _, seed := range append(seeds, `{}`, `[`, `{"properties":null}`, `{"properties":{}}`, `{"tags":{"a":"b"}}`, "\xff", `{"a":1e999}`) {
		f.Add(seed)
	}
	refuses, records := newFuzzed(f, false, prepare), newFuzzed(f, true, prepare)
	f.Fuzz(func(t *testing.T, body string) {
		refuses.send(t, http.MethodPut, target, body)
		records.send(t, http.MethodPut, target, body)
	})
}

func FuzzNoBodyOfANewClusterMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, clusterPath+"?api-version="+aksVersion, nil, azBody, wanted, body("", ""), network(`"podCidr":"10.244.0.0/16","loadBalancerProfile":{"outboundIPs":{"publicIPs":[{}]}}`),
		body(`,"autoScalerProfile":{"scan-interval":"10s"},"securityProfile":{"imageCleaner":{"intervalHours":24}}`, `,"nodeLabels":{"a":"b"},"nodeTaints":["a=b:NoSchedule"]`))
}

func FuzzNoBodyOfAClusterThatExistsMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, clusterPath+"?api-version=2022-11-01", withCluster, azBody, wanted, `{"location":"local","properties":{"kubernetesVersion":"1.36"}}`)
}

func FuzzNoBodyOfAPoolMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, clusterPath+"/agentPools/more?api-version="+aksVersion, withCluster, `{"properties":{"count":2,"vmSize":"Standard_DS2_v2","mode":"User","nodeLabels":{"a":"b"},"availabilityZones":["1"]}}`,
		`{"properties":{"networkProfile":{"allowedHostPorts":[{"portStart":1,"portEnd":2,"protocol":"TCP"}]},"spotMaxPrice":-1.0,"scaleSetPriority":"Spot"}}`)
}

func FuzzNoBodyOfTagsMakesTheServiceFail(f *testing.F) {
	records := newFuzzed(f, true, withCluster)
	for _, seed := range []string{`{"tags":{"a":"b"}}`, `{"tags":null}`, `{"tags":{"":""}}`, `{"properties":{}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		records.send(t, http.MethodPatch, clusterPath+"?api-version="+aksVersion, body)
		records.send(t, http.MethodPatch, groupPath+"?api-version=2021-04-01", body)
	})
}

func FuzzNoBodyOfAGroupMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, groupPath+"?api-version=2021-04-01", nil, `{"location":"local","tags":{"a":"b"}}`, `{"location":"Local","managedBy":"x"}`)
}

func FuzzNoBodyOfARoleAssignmentMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, groupPath+assignmentsIn+assignmentName+"?api-version=2022-04-01", nil,
		`{"properties":{"roleDefinitionId":"/subscriptions/`+subscriptionID+`/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7","principalId":"`+readerObject+`","principalType":"ServicePrincipal"}}`)
}

func FuzzNoBodyOfARoleDefinitionMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, groupPath+rolesIn+roleName+"?api-version=2022-04-01", nil,
		`{"properties":{"roleName":"x","type":"CustomRole","permissions":[{"actions":["*"],"notActions":["a/b"],"dataActions":[],"notDataActions":[]}],"assignableScopes":["`+groupPath+`"]}}`)
}

func FuzzNoBodyOfAServicePrincipalMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, principalPath+berthVersion, nil, `{"properties":{"displayName":"x"}}`)
}

func FuzzNoBodyOfAnIdentityMakesTheServiceFail(f *testing.F) {
	fuzzPut(f, groupPath+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/fuzzed?api-version=2023-01-31", nil, `{"location":"local","tags":{"a":"b"}}`, `{"location":"local","properties":{"isolationScope":"None"}}`)
}

func FuzzNoBodyOfAFederatedCredentialMakesTheServiceFail(f *testing.F) {
	identity := func(r *rig) {
		if a := r.call(http.MethodPut, identityPath+identityVersion, `{"location":"local"}`); a.status >= http.StatusBadRequest {
			r.t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	fuzzPut(f, credentialPath+identityVersion, identity, federated("https://issuer.example", "s"), `{"properties":{"audiences":[null,"a"],"issuer":"https://[::1"}}`)
}

func FuzzNoQueryOfAListMakesTheServiceFail(f *testing.F) {
	r := newFuzzed(f, false, withCluster)
	for _, seed := range [][3]string{{"atScope()", "1", ""}, {"resourceType eq 'a' and tagName eq 'b''c'", "0", "e30"}, {"principalId eq 'x'", "-1", "///"}, {"roleName eq 'Owner'", "99999999999999999999", "\x00"}, {"'", "1e3", "🙂"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, filter, top, skip string) {
		query := url.Values{"api-version": {"2022-04-01"}, "$filter": {filter}, "$top": {top}, "$skipToken": {skip}}
		for _, path := range []string{"/subscriptions/" + subscriptionID + "/resourcegroups", groupPath + "/resources", groupPath + strings.TrimSuffix(assignmentsIn, "/"), groupPath + strings.TrimSuffix(rolesIn, "/"),
			groupPath + "/providers/Microsoft.ContainerService/managedClusters", clusterPath + "/agentPools"} {
			if strings.HasSuffix(path, "s/resources") || strings.HasSuffix(path, "resourcegroups") || strings.HasSuffix(path, "rg/resources") {
				query.Set("api-version", "2021-04-01")
			} else {
				query.Set("api-version", "2022-04-01")
			}
			r.send(t, http.MethodGet, path+"?"+query.Encode(), "")
		}
	})
}

func FuzzNoPathMakesTheServiceFail(f *testing.F) {
	r := newFuzzed(f, false, withCluster)
	for _, seed := range []string{groupPath, clusterPath, clusterPath + "/agentPools/nodepool1/upgradeProfiles/default", groupPath + "/../rg", groupPath + "%2f..", "//" + groupPath, "/subscriptions/%00", strings.ToUpper(clusterPath), clusterPath + "%0d%0aX:%20y"} {
		f.Add(seed, aksVersion)
	}
	f.Fuzz(func(t *testing.T, path, version string) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			r.send(t, method, path+"?api-version="+url.QueryEscape(version), "")
		}
	})
}

func FuzzAResourceIDIsReadOrRefusedAndPrintsAsItWasRead(f *testing.F) {
	for _, seed := range []string{groupPath, clusterPath, "/subscriptions/x", "//", "/subscriptions/a/providers/b/c/d/e/f", "/subscriptions/\x00/resourceGroups/.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := arm.ParseResourceID(text)
		if err != nil {
			return
		}
		again, err := arm.ParseResourceID(id.String())
		if err != nil || !again.Equal(id) {
			t.Errorf("%q is read as %+v, which prints as %q: %v", text, id, id.String(), err)
		}
	})
}
