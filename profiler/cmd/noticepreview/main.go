// Command noticepreview writes the mails about accounts of a made-up person, as files to look at in a browser
// and in a mail program.
package main

import (
	"github.com/angelowl-loyalties/app/loyalty/mail/preview"
	"github.com/angelowl-loyalties/app/profiler/notice"
)

func main() { preview.Main(notice.Samples) }
