// Command emailpreview writes the nightly mail of made-up people, as files to look at in a browser and in a
// mail program.
package main

import (
	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty/mail/preview"
)

func main() { preview.Main(emailer.Samples) }
