package authserver

import "time"

// PasswordsHashed is how many passwords the server has hashed.
func (s *Server) PasswordsHashed() uint64 { return s.people.hasher.Count() }

// SealTOTP seals a second factor's secret as the account page does.
func (s *Server) SealTOTP(userID string, secret []byte) ([]byte, error) {
	return s.sealTOTP(userID, secret)
}

// WaitAfter is how long to wait after so many failures.
func WaitAfter(failures, free int) time.Duration { return waitAfter(failures, free) }
