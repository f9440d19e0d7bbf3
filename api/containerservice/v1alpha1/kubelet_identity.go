package v1alpha1

// KubeletIdentity is a user-assigned identity that a cluster's nodes have.
type KubeletIdentity struct {
	// ID is its ARM id, in the casing of the caller.
	ID string `json:"id"`
	// PrincipalID is the GUID that role assignments name, ClientID the one that
	// who acts under the identity names it by.
	PrincipalID string `json:"principalID"`
	ClientID    string `json:"clientID"`
}
