package main

// lockData does nothing where only developers run roomd.
func lockData(string) (unlock func(), err error) { return func() {}, nil }
