//go:build race

package profiles

// slack multiplies bounds on time: the race detector is that much slower.
const slack = 20
