package session

// SubscriptionID is the subscription that commands work in.
func (s *Session) SubscriptionID() (string, error) {
	c, err := s.connect()
	if err != nil {
		return "", err
	}
	return c.cloud.SubscriptionID, nil
}
