package profile

// Len is how many cards are remembered.
func (o *Owners) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.known)
}
