package main

// lockData does nothing where only developers run roomd.
func lockData(string) (unlock func(), err error) { return func() {}, nil }

// crossDevice says whether a rename failed because it led to another disk.
func crossDevice(error) bool { return false }
