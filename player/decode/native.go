package decode

func openNative(path string, opt Options) (source, int64, error) {
	return nil, 0, ErrUnsupported
}
