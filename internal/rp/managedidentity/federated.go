package managedidentity

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

const (
	// credentialsType is the resource type below that of identities.
	credentialsType = "federatedIdentityCredentials"
	// maxCredentials is how many an identity may have, and longestText how long
	// issuer, subject and audience may be in characters: the public service's.
	maxCredentials = 20
	longestText    = 600
)

// credentialVersions are the published api-versions of federated credentials.
func credentialVersions() []string {
	return []string{"2022-01-31-preview", "2023-01-31", "2023-07-31-preview", "2024-11-30", "2025-01-31-preview"}
}

// CredentialProperties is the table of a federated credential's properties.
func CredentialProperties() []arm.Property {
	readOnly := func(path string) arm.Property {
		return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
	}
	const note = "kept; the exchange of a foreign token for one of the identity is not built yet"
	return []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"),
		{Path: "properties", Kind: arm.Object},
		{Path: "properties.issuer", Kind: arm.String, Use: arm.Inert, Note: note},
		{Path: "properties.subject", Kind: arm.String, Use: arm.Inert, Note: note},
		{Path: "properties.audiences", Kind: arm.Array, Use: arm.Inert, Note: note},
		{Path: "properties.audiences[]", Kind: arm.String, Use: arm.Inert, Note: note},
		{Path: "properties.claimsMatchingExpression", Kind: arm.Any, Use: arm.Refused, Note: "matching of other claims than the subject is not built"},
	}
}

type credentialRequest struct {
	Properties struct {
		Issuer    string   `json:"issuer"`
		Subject   string   `json:"subject"`
		Audiences []string `json:"audiences"`
	} `json:"properties"`
}

// readCredential decodes and checks a body; all that is wrong is said at once.
func readCredential(r *arm.Request) (managedidentityv1alpha1.FederatedCredential, error) {
	made := managedidentityv1alpha1.FederatedCredential{Name: r.Param("credentialName")}
	schema, err := arm.NewSchema(CredentialProperties())
	if err != nil {
		return made, err
	}
	fields := &arm.FieldErrors{}
	content, err := schema.Read(r.Body, fields)
	if err != nil {
		return made, err
	}
	if fields.Malformed() {
		return made, fields.Err()
	}
	var sent credentialRequest
	if err := content.Decode(&sent); err != nil {
		return made, err
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9_]{2,119}$`).MatchString(made.Name) {
		fields.Invalid("federatedIdentityCredentialResourceName", "The name '%.130s' is invalid: a federated credential's name has 3 to 120 letters, digits, dashes and underscores, and begins with a letter or digit.", made.Name)
	}
	made.Issuer, made.Subject = sent.Properties.Issuer, sent.Properties.Subject
	checkText(made.Issuer, content.Path("properties.issuer"), fields)
	checkText(made.Subject, content.Path("properties.subject"), fields)
	issuer, err := url.Parse(made.Issuer)
	if made.Issuer != "" && (err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "") {
		fields.Invalid(content.Path("properties.issuer"), "'%.100s' is not the https URL of an issuer, without query and fragment.", made.Issuer)
	}
	path := content.Path("properties.audiences")
	if len(sent.Properties.Audiences) != 1 {
		fields.Invalid(path, "A federated credential has exactly one audience; %d are named.", len(sent.Properties.Audiences))
	} else {
		made.Audience = sent.Properties.Audiences[0]
		checkText(made.Audience, path, fields)
	}
	return made, fields.Err()
}

// checkText wants a text of up to 600 characters without control characters.
func checkText(value, path string, fields *arm.FieldErrors) {
	switch {
	case strings.TrimSpace(value) == "":
		fields.Invalid(path, "The value is required.")
	case len(value) > longestText || strings.ContainsFunc(value, unicode.IsControl):
		fields.Invalid(path, "The value is longer than %d characters, or has control characters.", longestText)
	}
}

// credentialBody is a federated credential on the wire.
func credentialBody(identity *managedidentityv1alpha1.UserAssignedIdentity, c *managedidentityv1alpha1.FederatedCredential) object {
	id := idOf(identity).Child(credentialsType, c.Name)
	return object{"id": id.String(), "name": c.Name, "type": id.Type(), "properties": object{
		"issuer": c.Issuer, "subject": c.Subject, "audiences": []string{c.Audience},
	}}
}

// credentialIndex is where an identity has the credential of a name, -1 if it has none.
func credentialIndex(identity *managedidentityv1alpha1.UserAssignedIdentity, name string) int {
	return slices.IndexFunc(identity.Spec.FederatedCredentials, func(c managedidentityv1alpha1.FederatedCredential) bool {
		return strings.EqualFold(c.Name, name)
	})
}

func (p *Provider) listCredentials(w http.ResponseWriter, r *arm.Request) error {
	identity, err := p.existing(r)
	if err != nil {
		return err
	}
	all := make([]object, 0, len(identity.Spec.FederatedCredentials))
	for i := range identity.Spec.FederatedCredentials {
		all = append(all, credentialBody(identity, &identity.Spec.FederatedCredentials[i]))
	}
	page, err := arm.Page(r, all, func(o object) string { return o["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) getCredential(w http.ResponseWriter, r *arm.Request) error {
	identity, err := p.existing(r)
	if err != nil {
		return err
	}
	i := credentialIndex(identity, r.Param("credentialName"))
	if i < 0 {
		return arm.ResourceNotFound(idOf(identity).Child(credentialsType, r.Param("credentialName")))
	}
	return arm.WriteJSON(w, http.StatusOK, credentialBody(identity, &identity.Spec.FederatedCredentials[i]))
}

// putCredential adds a credential to an identity, or replaces it. Two of one
// issuer and subject are refused: a token has to name one of them.
func (p *Provider) putCredential(w http.ResponseWriter, r *arm.Request) error {
	sent, err := readCredential(r)
	if err != nil {
		return err
	}
	return resources.RetryConflicts(func() error {
		identity, err := p.existing(r)
		if err != nil {
			return err
		}
		credentials := &identity.Spec.FederatedCredentials
		i := credentialIndex(identity, sent.Name)
		for other, c := range *credentials {
			if other != i && c.Issuer == sent.Issuer && c.Subject == sent.Subject {
				return arm.NewError(http.StatusConflict, "Conflict", "The identity '%s' has the federated credential '%s' of this issuer and subject already.", identity.Spec.Name, c.Name)
			}
		}
		status := http.StatusOK
		switch {
		case i >= 0:
			sent.Name = (*credentials)[i].Name
			(*credentials)[i] = sent
		case len(*credentials) >= maxCredentials:
			return arm.NewError(http.StatusBadRequest, "BadRequest", "The identity '%s' has %d federated credentials, more are not possible. Delete one first.", identity.Spec.Name, maxCredentials)
		default:
			i, status = len(*credentials), http.StatusCreated
			*credentials = append(*credentials, sent)
		}
		if err := p.Client.Update(r.Context(), identity); err != nil {
			return err
		}
		return arm.WriteJSON(w, status, credentialBody(identity, &identity.Spec.FederatedCredentials[i]))
	})
}

func (p *Provider) deleteCredential(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		identity, err := p.existing(r)
		if err != nil {
			return err
		}
		i := credentialIndex(identity, r.Param("credentialName"))
		if i < 0 {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		identity.Spec.FederatedCredentials = slices.Delete(identity.Spec.FederatedCredentials, i, i+1)
		if err := p.Client.Update(r.Context(), identity); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	})
}
