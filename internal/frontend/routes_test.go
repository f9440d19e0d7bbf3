package frontend_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
)

// The stranger has a token and no role.
const (
	strangerID     = "99999999-9999-4999-8999-999999999999"
	strangerObject = "aaaaaaaa-9999-4999-8999-999999999999"
	endedOperation = "88888888-8888-4888-8888-888888888888"
	anyGUID        = "77777777-7777-4777-8777-777777777777"
)

// named are values for the parameters of all routes. What they name is there
// in a prepared rig.
func named() map[string]string {
	return map[string]string{
		"subscriptionID": subscriptionID, "resourceGroup": "rg", "resourceName": "demo", "agentPoolName": "nodepool1", "location": "local",
		"namespace": "Microsoft.ContainerService", "type": "managedClusters", "name": "demo", "childType": "agentPools", "childName": "nodepool1",
		"tenant": tenantID, "appID": ownerID, "roleName": "clusterAdmin", "operationID": endedOperation, "tagName": "x", "mode": "x",
		"roleDefinitionID": identity.RoleReader, "roleAssignmentName": anyGUID, "configName": "default", "scheduleName": "nights",
		"peeringName": "x", "snapshotName": "x", "connectionName": "x", "bindingName": "x", "credentialName": "key", "machineName": "x", "commandID": anyGUID, "backupName": "x",
	}
}

// pathOf is the path of a route with values for its parameters.
func pathOf(t testing.TB, route arm.Route, values map[string]string) string {
	t.Helper()
	path := route.Pattern
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if strings.Contains(path, "{") {
		t.Fatalf("no value for a parameter of %s: add it to named", path)
	}
	if route.Versions != nil {
		path += "?api-version=" + slices.Max(route.Versions.Versions)
	}
	return path
}

// short is a route's method and pattern without the words that many have.
func short(route arm.Route) string {
	return route.Method + " " + strings.NewReplacer(
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{resourceName}/agentPools/{agentPoolName}", "pool",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{resourceName}", "cluster",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Berth.ContainerService", "berth",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}", "identity",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Microsoft.Network/", "network/",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/Microsoft.Compute/", "compute/",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/{namespace}/{type}/{name}", "resource",
		"/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}", "group",
		"/subscriptions/{subscriptionID}", "subscription",
		"/providers/Microsoft.ContainerService/locations/{location}", "/aks",
	).Replace(route.Pattern)
}

// line is a request to a route by who may make it.
type line struct {
	body string
	want int
	// after is the method of the same path that is called before, prepare what else has to be.
	after   string
	prepare func(*rig)
	// query is added to the path.
	query string
}

// lines are the requests of routes that are not read by a plain GET of what is there.
func lines() map[string]line {
	const (
		tags       = `{"properties":{"tags":{"a":"b"}}}`
		merge      = `{"operation":"Merge","properties":{"tags":{"a":"b"}}}`
		located    = `{"location":"local"}`
		assignment = `{"properties":{"principalId":"` + ownerObject + `","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/` + identity.RoleReader + `"}}`
		role       = `{"properties":{"roleName":"mine","permissions":[{"actions":["*/read"]}],"assignableScopes":["%s"]}}`
		credential = `{"keyId":"` + anyGUID + `"}`
		federated  = `{"properties":{"issuer":"https://issuer.example","subject":"s","audiences":["api://AzureADTokenExchange"]}}`
	)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {ownerID}, "client_secret": {secret}, "scope": {"https://management.azure.com/.default"}}
	token := line{body: form.Encode(), want: 200}
	all := map[string]line{
		"PUT identity": {body: located, want: 201}, "GET identity": {want: 200, after: "PUT"}, "PATCH identity": {body: `{"tags":{}}`, want: 200, after: "PUT"},
		"DELETE identity": {want: 200, after: "PUT"}, "POST identity/listAssociatedResources": {want: 404},
		"PUT identity/federatedIdentityCredentials/{credentialName}":    {body: federated, want: 201, prepare: (*rig).anIdentity},
		"GET identity/federatedIdentityCredentials/{credentialName}":    {want: 200, after: "PUT", prepare: (*rig).anIdentity},
		"GET identity/federatedIdentityCredentials":                     {want: 200, prepare: (*rig).anIdentity},
		"DELETE identity/federatedIdentityCredentials/{credentialName}": {want: 200, after: "PUT", prepare: (*rig).anIdentity},

		"PUT /providers/Berth.Identity/servicePrincipals/{appID}":                 {body: `{"properties":{"displayName":"me"}}`, want: 200},
		"DELETE /providers/Berth.Identity/servicePrincipals/{appID}":              {want: 409}, // itself
		"POST /providers/Berth.Identity/servicePrincipals/{appID}/addPassword":    {body: `{}`, want: 200},
		"POST /providers/Berth.Identity/servicePrincipals/{appID}/removePassword": {body: credential, want: 404},
		"POST /providers/Berth.Identity/servicePrincipals/{appID}/addKey":         {body: `{}`, want: 400},
		"POST /providers/Berth.Identity/servicePrincipals/{appID}/removeKey":      {body: credential, want: 404},
		"POST /providers/Berth.Identity/rotateSigningKey":                         {want: 200},

		"GET subscription/aks/operations/{operationID}":                              {want: 200, prepare: (*rig).ended},
		"GET subscription/aks/operationresults/{operationID}":                        {want: 204, prepare: (*rig).ended},
		"GET subscription/operationresults/{operationID}":                            {want: 404},
		"GET subscription/providers/Microsoft.Insights/eventtypes/management/values": {query: "$filter=eventTimestamp+ge+2026-01-01", want: 200},
		"POST berth/managedClusters/{resourceName}/rotateClusterCertificates":        {want: 202},
		"POST berth/managedClusters/{resourceName}/rotateServiceAccountSigningKeys":  {want: 202},
		"POST berth/managedClusters/{resourceName}/rotateEncryptionKey":              {want: 202},
		"POST berth/managedClusters/{resourceName}/traceNetwork":                     {body: `{"from":"10.224.0.4","to":"10.224.0.5","port":80}`, want: 409},
		"POST subscription/providers/{namespace}/register":                           {want: 200},
		"POST subscription/providers/{namespace}/unregister":                         {want: 409},
		"HEAD group": {want: 204}, "PUT group": {body: located, want: 200}, "PATCH group": {body: `{"tags":{}}`, want: 200}, "DELETE group": {want: 202},

		"POST /adfs/oauth2/token": token, "POST /{tenant}/oauth2/v2.0/token": token,
		"POST /{tenant}/oauth2/token":    {body: form.Encode() + "&resource=https%3A%2F%2Fmanagement.azure.com", want: 200},
		"GET /common/discovery/instance": {query: "api-version=1.1&authorization_endpoint=https%3A%2F%2F{host}%2Fcommon%2Foauth2%2Fv2.0%2Fauthorize", want: 200},
	}
	maps.Copy(all, clusterLines())
	maps.Copy(all, networkLines())
	for _, scope := range []string{"subscription", "group", "resource"} {
		at := scope + "/providers/Microsoft.Resources/tags/default"
		all["PUT "+at], all["PATCH "+at], all["DELETE "+at] = line{body: tags, want: 200}, line{body: merge, want: 200}, line{want: 200}
	}
	for _, scope := range []string{"", "subscription", "group", "resource", "resource/{childType}/{childName}"} {
		at := scope + "/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}"
		all["PUT "+at], all["GET "+at], all["DELETE "+at] = line{body: assignment, want: 201}, line{want: 200, after: "PUT"}, line{want: 200, after: "PUT"}
	}
	for scope, path := range map[string]string{"subscription": "/subscriptions/" + subscriptionID, "group": groupPath} {
		at := scope + "/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionID}"
		all["PUT "+at], all["DELETE "+at] = line{body: fmt.Sprintf(role, path), want: 403}, line{want: 403} // it is a built-in role
	}
	return all
}

// clusterLines are those on clusters and what belongs to them.
func clusterLines() map[string]line {
	return map[string]line{
		"PUT cluster": {body: body("", ""), want: 200}, "PATCH cluster": {body: `{"tags":{}}`, want: 200}, "DELETE cluster": {want: 202},
		"POST cluster/listClusterAdminCredential":               {want: 200, prepare: (*rig).ready},
		"POST cluster/listClusterUserCredential":                {want: 200, prepare: (*rig).ready},
		"POST cluster/listClusterMonitoringUserCredential":      {want: 200, prepare: (*rig).ready},
		"POST cluster/accessProfiles/{roleName}/listCredential": {want: 200, prepare: (*rig).ready},
		"POST cluster/runCommand":                               {body: `{"command":"true"}`, want: 202, prepare: (*rig).ready},
		"GET cluster/commandResults/{commandID}":                {want: 404},
		"POST cluster/start":                                    {want: 202, prepare: (*rig).halt},
		"POST cluster/stop":                                     {want: 202},
		"POST cluster/abort":                                    {want: 202, prepare: situations()["updating"]},
		"POST pool/abort":                                       {want: 202, prepare: situations()["scaling"]},
		"PUT cluster/maintenanceConfigurations/{configName}":    {body: hourly, want: 201},
		"GET cluster/maintenanceConfigurations/{configName}":    {want: 200, after: "PUT"},
		"DELETE cluster/maintenanceConfigurations/{configName}": {want: 200, after: "PUT"},
		"PUT pool":                                     {body: `{"properties":{"count":2}}`, want: 200},
		"DELETE pool":                                  {want: 400}, // the last one of mode System
		"GET pool/machines/{machineName}":              {want: 404},
		"POST pool/deleteMachines":                     {body: `{"machineNames":["x"]}`, want: 400},
		"POST pool/upgradeNodeImageVersion":            {want: 200}, // it is the newest
		"POST cluster/rotateClusterCertificates":       {want: 202},
		"POST cluster/rotateServiceAccountSigningKeys": {want: 202},

		"POST berth/managedClusters/{resourceName}/preflightUpgrade":                    {body: `{}`, want: 200},
		"POST berth/managedClusters/{resourceName}/lift":                                {want: 409},
		"POST berth/managedClusters/{resourceName}/rollback":                            {want: 409},
		"POST berth/managedClusters/{resourceName}/agentPools/{agentPoolName}/rollback": {want: 409},
		"PUT berth/managedClusters/{resourceName}/powerSchedules/{scheduleName}":        {body: `{"properties":{"stop":"0 20 * * 1-5"}}`, want: 201},
		"GET berth/managedClusters/{resourceName}/powerSchedules/{scheduleName}":        {want: 200, after: "PUT"},
		"DELETE berth/managedClusters/{resourceName}/powerSchedules/{scheduleName}":     {want: 200, after: "PUT"},
		"PUT berth/managedClusters/{resourceName}/backupSchedules/{scheduleName}":       {body: `{"properties":{"schedule":"0 3 * * *"}}`, want: 201},
		"GET berth/managedClusters/{resourceName}/backupSchedules/{scheduleName}":       {want: 200, after: "PUT"},
		"DELETE berth/managedClusters/{resourceName}/backupSchedules/{scheduleName}":    {want: 200, after: "PUT"},
		"PUT berth/backups/{backupName}":                                                {body: `{"properties":{"clusterId":"` + clusterPath + `"}}`, want: 201},
		"GET berth/backups/{backupName}":                                                {want: 200, after: "PUT"},
		"DELETE berth/backups/{backupName}":                                             {want: 200, after: "PUT"},
		"POST berth/backups/{backupName}/download":                                      {want: 404},
		"POST berth/backups/{backupName}/upload":                                        {body: "no backup", want: 400},
		"POST berth/backups/{backupName}/restore":                                       {body: `{}`, want: 404},
	}
}

// ended is an operation on the cluster that has ended.
func (r *rig) ended() {
	r.t.Helper()
	if err := r.history.Put(history.Record{
		ID: endedOperation, ResourceID: clusterPath, Verb: meta.VerbCreate, Status: meta.OperationSucceeded, EndTime: time.Now(), Caller: ownerObject,
	}); err != nil {
		r.t.Fatal(err)
	}
}

// accessLog notes which route each request reached, by the request's id.
type accessLog struct {
	mu     sync.Mutex
	noted  *sync.Cond
	routes map[string]string
}

func newAccessLog() *accessLog {
	l := &accessLog{routes: map[string]string{}}
	l.noted = sync.NewCond(&l.mu)
	return l
}

// Write implements io.Writer.
func (l *accessLog) Write(text []byte) (int, error) {
	var entry struct{ Method, Route, RequestID string }
	if err := json.Unmarshal(text, &entry); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes[entry.RequestID] = entry.Method + " " + entry.Route
	l.noted.Broadcast()
	return len(text), nil
}

// reached is the route of an answered request: it is noted after the answer.
func (l *accessLog) reached(a answer) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := a.header.Get("x-ms-request-id")
	for l.routes[id] == "" {
		l.noted.Wait()
	}
	return l.routes[id]
}

// routed is a rig with one cluster that notes which routes are reached, and its routes.
func routed(t *testing.T) (*rig, *accessLog, []arm.Route) {
	t.Helper()
	log := newAccessLog()
	r := made(t, func(c *frontend.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, nil))
		c.Backups = vault.New(vault.Options{Home: home.Home{Dir: t.TempDir()}})
	})
	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: backup.SecretName}, Data: backup.NewSecret()}
	if err := r.store.Create(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	routes, err := frontend.RoutesOf(r.handler)
	if err != nil {
		t.Fatal(err)
	}
	r.writes = 0
	return r, log, routes
}

// request makes a line's request to a route.
func (r *rig) request(route arm.Route, l line, header ...string) answer {
	r.t.Helper()
	path := pathOf(r.t, route, named())
	if l.query != "" {
		path += map[bool]string{false: "?", true: "&"}[strings.Contains(path, "?")] + strings.ReplaceAll(l.query, "{host}", strings.TrimPrefix(r.server.URL, "https://"))
	}
	if route.Public && route.Method == http.MethodPost {
		header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	}
	return r.call(route.Method, path, l.body, header...)
}

func TestEveryRouteAnswersItsRightCaller(t *testing.T) {
	t.Parallel()
	shared, sharedLog, routes := routed(t)
	table := lines()
	for _, route := range routes {
		name := short(route)
		l, listed := table[name]
		t.Run(name, func(t *testing.T) {
			shared.t = t
			if route.NotBuilt != "" {
				check(t, shared.request(route, line{}), want{http.StatusNotImplemented, "NotSupported", "", route.NotBuilt})
				return
			}
			if !listed && route.Method != http.MethodGet {
				t.Fatalf("nothing tries this route: add a request to lines")
			}
			r, log := shared, sharedLog
			if listed {
				r, log, _ = routed(t)
			} else {
				l.want = http.StatusOK
			}
			r.t = t
			if l.prepare != nil {
				l.prepare(r)
			}
			if l.after != "" {
				before := route
				before.Method = l.after
				if a := r.request(before, lines()[short(before)]); a.status >= http.StatusBadRequest {
					t.Fatalf("before it, %s: %d %s", before.Method, a.status, a.raw)
				}
			}
			a := r.request(route, l)
			if a.status != l.want {
				t.Errorf("answered %d %s, want %d", a.status, a.raw, l.want)
			}
			if got, want := log.reached(a), route.Method+" "+route.Pattern; got != want {
				t.Errorf("the request reached the route %s", got)
			}
		})
	}
}

func TestEveryRouteWantsATokenAndARole(t *testing.T) {
	r, _, routes := routed(t)
	if err := r.store.Create(t.Context(), rolelessPrincipal()); err != nil {
		t.Fatal(err)
	}
	token := r.tokenOf(strangerID)
	r.writes = 0
	public := map[string]bool{ // to who has a token: it says nothing about what anybody has, or lists what the caller sees
		"GET /tenants": true, "GET /subscriptions": true,
		"GET /providers": true, "GET /providers/{namespace}": true, "GET /providers/Microsoft.Insights/eventcategories": true, "GET /providers/Microsoft.Authorization/roleDefinitions": true,
		"GET /providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionID}": true,
	}
	for _, route := range routes {
		if route.Public {
			continue
		}
		t.Run(short(route), func(t *testing.T) {
			r.t = t
			a := r.request(route, line{body: "{}"}, "Authorization", "")
			if code, _, _ := a.errorOf(); a.status != http.StatusUnauthorized || route.Method != http.MethodHead && code != "AuthenticationFailed" || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("without a token: %d %s", a.status, a.raw)
			}
			a = r.request(route, line{body: "{}"}, "Authorization", "Bearer "+token)
			code, _, message := a.errorOf()
			switch {
			case route.Action == "" && (public[short(route)] || strings.HasSuffix(route.Pattern, "/operations")):
				if a.status != http.StatusOK {
					t.Errorf("what is no secret: %d %s", a.status, a.raw)
				}
			case route.Action == "" && strings.HasSuffix(route.Pattern, "/{operationID}"): // who may see it, its resource says
				if a.status != http.StatusNotFound {
					t.Errorf("an operation: %d %s", a.status, a.raw)
				}
			case route.Action == "":
				check(t, a, want{http.StatusForbidden, "AuthorizationFailed", "", strangerObject})
			case a.status != http.StatusForbidden || route.Method != http.MethodHead && (code != "AuthorizationFailed" || !strings.Contains(message, route.Action)):
				t.Errorf("without a role: %d %s", a.status, a.raw)
			}
		})
	}
	if r.writes != 0 {
		t.Errorf("refused requests made %d writes", r.writes)
	}
}

func rolelessPrincipal() *authorizationv1alpha1.ServicePrincipal {
	return &authorizationv1alpha1.ServicePrincipal{ObjectMeta: metav1.ObjectMeta{Name: strangerID}, Spec: authorizationv1alpha1.ServicePrincipalSpec{
		TenantID: tenantID, ObjectID: strangerObject, DisplayName: "stranger",
		Passwords: []authorizationv1alpha1.PasswordCredential{{KeyID: "k", Hash: identity.HashSecret([]byte(strings.Repeat("k", 32)), secret)}},
	}}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	r, _, routes := routed(t)
	for _, route := range routes {
		of := route.Pattern[strings.LastIndexByte(route.Pattern, '/')+1:] // the parameter of what a PUT makes
		for parameter, code := range map[string]string{"resourceGroup": "ResourceGroupNotFound", "resourceName": "ResourceNotFound", "name": "ResourceNotFound"} {
			makes := of == "{"+parameter+"}" && route.Method == http.MethodPut
			// Roles are read at any scope: an assignment may outlive what it is at.
			read := route.Method != http.MethodPut && strings.Contains(route.Pattern, "/Microsoft.Authorization/") || strings.Contains(route.Pattern, "/Microsoft.Authorization/roleDefinitions")
			if route.NotBuilt != "" || makes || read || !strings.Contains(route.Pattern, "{"+parameter+"}") {
				continue
			}
			t.Run(short(route)+" of an absent "+parameter, func(t *testing.T) {
				r.t = t
				absent := named()
				absent[parameter] = "absent"
				a := r.call(route.Method, pathOf(t, route, absent), lines()[short(route)].body)
				got, _, _ := a.errorOf()
				switch {
				case route.Method == http.MethodDelete && a.status == http.StatusNoContent:
				case route.Method == http.MethodHead && a.status == http.StatusNotFound:
				case a.status != http.StatusNotFound || got != code:
					t.Errorf("answered %d %s, want 404 %s", a.status, a.raw, code)
				}
			})
		}
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}
