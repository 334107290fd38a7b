//go:build !race

package profiles

// slack multiplies bounds on time.
const slack = 1
