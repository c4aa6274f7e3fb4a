package notice

import (
	netmail "net/mail"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/mail"
)

// Samples are the mails to a made-up person, by name: for looking at what the templates make.
func Samples() (map[string]mail.Message, error) {
	ada := netmail.Address{Name: "Ada Lovelace", Address: "ada@example.com"}
	named := func(name string) netmail.Address { return netmail.Address{Name: name, Address: ada.Address} }
	const portal = "https://portal.example.com"
	until := time.Date(2021, 9, 8, 20, 0, 0, 0, time.FixedZone("+08", 8*3600))
	out := map[string]mail.Message{}
	for name, write := range map[string]func() (mail.Message, error){
		"reset":            func() (mail.Message, error) { return Reset(ada, portal+"/reset?token=abc-_1", 30*time.Minute) },
		"reset_no_name":    func() (mail.Message, error) { return Reset(named(""), portal+"/reset?token=abc-_1", 30*time.Minute) },
		"password_changed": func() (mail.Message, error) { return PasswordChanged(ada, portal) },
		"email_changed":    func() (mail.Message, error) { return EmailChanged(ada, "countess@example.org") },
		"first_password":   func() (mail.Message, error) { return FirstPassword(ada, "abcde-fghjk-mnpqr-stuvw", portal, until) },
		"first_password_thai": func() (mail.Message, error) {
			return FirstPassword(named("สมชาย ใจดี"), "abcde-fghjk-mnpqr-stuvw", portal, until)
		},
		"first_password_arabic": func() (mail.Message, error) {
			return FirstPassword(named("محمد عبد الله"), "abcde-fghjk-mnpqr-stuvw", portal, until)
		},
		"hostile_name": func() (mail.Message, error) { return PasswordChanged(named(`<script>alert("1")</script>`), portal) },
		"hostile_header": func() (mail.Message, error) {
			return PasswordChanged(named("Eve\r\nBcc: all@evil.example\u202egnp"), portal)
		},
	} {
		var err error
		if out[name], err = write(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
