package profiler_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/profiler/docs"
	"github.com/google/uuid"
)

// access says what each caller gets on each route: nobody, a user who must change the password, a user
// on own data, another user on that data, a merchant, the bank, an admin and a service. Every route of
// the API's description is in it.
var access = []struct {
	route  string
	body   string
	status [8]int
}{
	//                                nobody new own other mer bank admin service
	{"GET /user", "", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"POST /user", "{user}", [8]int{401, 403, 403, 403, 403, 201, 201, 403}},
	{"POST /user/search", "{pan}", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"GET /user/{id}", "", [8]int{401, 403, 200, 404, 403, 200, 200, 403}},
	{"PUT /user/{id}", `{"last_name":"x"}`, [8]int{401, 403, 200, 404, 403, 200, 200, 403}},
	{"DELETE /user/{id}", "", [8]int{401, 403, 403, 403, 403, 204, 204, 403}},
	{"GET /user/{id}/history", "", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"GET /card", "", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"POST /card", "{card}", [8]int{401, 403, 403, 403, 403, 201, 201, 403}},
	{"GET /card/{id}", "", [8]int{401, 403, 200, 404, 403, 200, 200, 403}},
	{"DELETE /card/{id}", "", [8]int{401, 403, 403, 403, 403, 204, 204, 403}},
	{"GET /card/{id}/history", "", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"GET /card/type", "", [8]int{401, 403, 200, 200, 403, 200, 200, 403}},
	{"POST /card/type", "{type}", [8]int{401, 403, 403, 403, 403, 201, 201, 403}},
	{"GET /card/type/{card_type}", "", [8]int{401, 403, 200, 200, 403, 200, 200, 403}},
	{"PUT /card/type/{card_type}", "{type}", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"DELETE /card/type/{card_type}", "", [8]int{401, 403, 403, 403, 403, 503, 503, 403}}, // there is no etcd here
	{"GET /card/type/{card_type}/history", "", [8]int{401, 403, 403, 403, 403, 200, 200, 403}},
	{"GET /internal/card/{id}", "", [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
	{"GET /internal/user/{id}/card", "", [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
	{"POST /internal/users", `{"rows":[{}]}`, [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
	{"POST /internal/reward-mails/unmailed", `{"since":"2021-09-01","cards":[]}`, [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
	{"POST /internal/reward-mails/begin", `{}`, [8]int{401, 403, 403, 403, 403, 403, 403, 400}},
	{"POST /internal/reward-mails/end", `{}`, [8]int{401, 403, 403, 403, 403, 403, 403, 400}},
	{"GET /internal/reward-mails/day/{day}", "", [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
	{"POST /internal/reward-mails/day/{day}", "", [8]int{401, 403, 403, 403, 403, 403, 403, 200}},
}

var callers = [8]string{"", "new", "user", "other", "merchant", "bank", "admin", "service"}

func TestWhoMayDoWhat(t *testing.T) {
	described := map[string]bool{}
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(docs.SwaggerInfoprofiler.ReadDoc()), &api); err != nil {
		t.Fatal(err)
	}
	for path, methods := range api.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	b, n := open(t), 100
	for _, row := range access {
		if !described[row.route] {
			t.Errorf("%s is not described", row.route)
		}
		delete(described, row.route)
		for i, who := range callers {
			// What is deleted is there again for each.
			n++
			made := b.want(201, "admin", "POST", "/card", cardBody(b.ids["user"], "")).id(t)
			typeName := fmt.Sprint("type", n)
			typeBody := fmt.Sprintf(`{"card_type":%q,"name":"n","reward_unit":"miles","reward_program":"p"}`, typeName)
			method, path, _ := strings.Cut(row.route, " ")
			id := made
			if strings.Contains(path, "/user/") {
				id = b.ids["user"]
				if method == http.MethodDelete {
					id = b.want(201, "admin", "POST", "/user", userBody(1000+n, "")).id(t)
				}
			}
			if strings.Contains(path, "{card_type}") {
				b.want(201, "admin", "POST", "/card/type", typeBody)
			}
			path = strings.NewReplacer("{id}", id, "{card_type}", typeName, "{day}", "2021-09-01").Replace(path)
			body := strings.NewReplacer("{user}", userBody(n, ""), "{pan}", `{"card_pan":"`+pan+`"}`, "{card}", cardBody(b.ids["user"], ""), "{type}", typeBody).Replace(row.body)
			got := b.do(who, method, path, body)
			if got.status != row.status[i] {
				t.Errorf("%s by %q: %d, want %d: %s", row.route, who, got.status, row.status[i], got.body)
			}
			if got.status >= 400 {
				got.failure(t)
			}
		}
	}
	for route := range described {
		if !signIns(route) {
			t.Errorf("%s is not in the table", route)
		}
	}
}

// signIns says whether a route is one of package signin, whose own tests hold it.
func signIns(route string) bool {
	return slices.ContainsFunc([]string{"/auth/", "/unsubscribe/", "/.well-known/", "/secret", "/limits", "/totp", "/first-password", "/internal/session/", "/internal/merchant/"},
		func(part string) bool { return strings.Contains(route, part) })
}

func TestEachPortHasItsOwnRoutes(t *testing.T) {
	b := open(t)
	outside, inside := b.url, b.internal
	b.internal = outside
	for _, path := range []string{"/internal/card/" + uuid.NewString(), "/internal/user/" + b.ids["user"] + "/card", "/internal/users", "/internal/session/x"} {
		for _, method := range []string{"GET", "POST"} {
			b.want(404, "service", method, path, "{}")
		}
	}
	b.internal, b.url = inside, inside
	for _, path := range []string{"/user", "/card", "/card/type", "/user/" + b.ids["user"]} {
		b.want(404, "admin", "GET", path, "")
	}
	b.url = outside
	b.want(200, "", "POST", "/auth/login", "{}")
	b.want(200, "", "GET", "/health", "")
	b.want(200, "", "GET", "/swagger/index.html", "")
}

// TestTheBankSeesCardholdersOnly walks the accounts of other roles, and cards that would be theirs.
func TestTheBankSeesCardholdersOnly(t *testing.T) {
	b := open(t)
	unknown := uuid.NewString()
	for _, who := range []string{"bank", "merchant", "admin"} {
		id := b.ids[who]
		for _, r := range []struct{ method, path, body string }{
			{"GET", "", ""}, {"PUT", "", `{"last_name":"x"}`}, {"PUT", "", `{"locked":true}`}, {"PUT", "", `{"email":"x"}`}, {"DELETE", "", ""}, {"GET", "/history", ""},
		} {
			got := b.want(404, "bank", r.method, "/user/"+id+r.path, r.body)
			// Nothing tells it from an account that does not exist.
			same := b.want(404, "bank", r.method, "/user/"+unknown+r.path, r.body)
			if strings.ReplaceAll(got.body, id, unknown) != same.body {
				t.Errorf("%s of %s: %s, of nobody: %s", r.method, who, got.body, same.body)
			}
		}
		asBank := b.want(400, "bank", "POST", "/card", cardBody(id, ""))
		if nobody := b.want(400, "bank", "POST", "/card", cardBody(unknown, "")); nobody.body != asBank.body {
			t.Errorf("a card for %s: %s, for nobody: %s", who, asBank.body, nobody.body)
		}
		b.want(200, "bank", "GET", "/user?role="+who, "").has(t, `"total":0`, `"data":[]`)
		b.want(403, "bank", "POST", "/user", userBody(1, `,"Role":"`+who+`"`)).has(t, `"forbidden"`)
		b.want(403, "bank", "PUT", "/user/"+b.ids["user"], `{"Role":"`+who+`"}`).has(t, `"forbidden"`)
	}
	b.want(200, "bank", "GET", "/user", "").has(t, `"total":2`).hasNot(t, "admin@", "bank@", "merchant@")
	b.want(200, "admin", "GET", "/user", "").has(t, `"total":5`, "admin@")
	b.want(200, "admin", "GET", "/user?role=bank", "").has(t, `"total":1`)
}

func TestAUserChangesTheOwnAccountOnly(t *testing.T) {
	b := open(t)
	one := "/user/" + b.ids["user"]
	b.want(200, "user", "PUT", one, `{"first_name":"A","last_name":"B","phone":"+6591234567","email":"a@example.com","reward_emails":false,"Role":"user","locked":false,"IsNew":false,"CreditCards":[],"id":"`+b.ids["user"]+`"}`).
		has(t, `"first_name":"A"`, `"reward_emails":false`, `"IsNew":true`)
	if said := b.desk.mailed(); said != "told user@example.com of a@example.com" {
		t.Errorf("said %q", said)
	}
	for _, body := range []string{`{"Role":"bank"}`, `{"Role":"admin"}`, `{"role":"admin"}`, `{"ROLE":"merchant"}`, `{"locked":true}`, `{"Locked":true,"first_name":"x"}`} {
		b.want(403, "user", "PUT", one, body).has(t, `"forbidden"`)
	}
	b.want(200, "user", "GET", one, "").has(t, `"Role":"user"`, `"locked":false`, `"first_name":"A"`, `"version":2`)
	b.want(400, "user", "PUT", one, `{"id":"`+b.ids["other"]+`"}`).has(t, `"id"`)
	b.want(404, "user", "PUT", "/user/"+b.ids["other"], `{"first_name":"x"}`)
	b.want(404, "user", "GET", "/user/"+uuid.NewString(), "")
	b.want(409, "user", "PUT", one, `{"email":"OTHER@example.com"}`).has(t, `"email_taken"`)
}

// TestBadInput sends what is wrong in each way to each field: 400 in our shape, which names the field.
func TestBadInput(t *testing.T) {
	b := open(t)
	long := strings.Repeat("x", 257)
	owner := b.ids["user"]
	user := func(more string) string { return userBody(9, more) }
	card := func(field, value string) string {
		fields := map[string]string{"card_pan": `"` + pan + `"`, "user_id": `"` + owner + `"`, "card_type": `"gold"`}
		if fields[field] = value; value == "" {
			delete(fields, field)
		}
		var parts []string
		for k, v := range fields {
			parts = append(parts, fmt.Sprintf("%q:%s", k, v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	type bad struct{ method, path, body, field string }
	var all []bad
	add := func(method, path, field string, bodies ...string) {
		for _, body := range bodies {
			all = append(all, bad{method, path, body, field})
		}
	}
	one := "/user/" + owner
	for field, values := range map[string][]string{
		"first_name":       {`7`, `true`, `{}`, `[]`, `""`, `" "`, `"` + long + `"`, `"a\u0000b"`, `"a\nb"`, `"a\u202eb"`, `"4111111111111111"`},
		"last_name":        {`7`, `[]`, `"` + long + `"`, `"a\u0000b"`, `"y\u2028x"`, `"4111-1111-1111-1111"`},
		"phone":            {`6591234567`, `"6591234567"`, `"+0123456789"`, `"+123456"`, `"+1234567890123456"`, `"+65x1234567"`, `"++6591234567"`, `"+65 9123 4567\u0000"`, `"` + long + `"`},
		"email":            {`7`, `""`, `"ann"`, `"ann@"`, `"@example.com"`, `"ann@example"`, `"a b@example.com"`, `"Ann <ann@example.com>"`, `"ann@example.com, bob@example.com"`, `"ann@example.com\r\nBcc: x@example.com"`, `"ann\u0000@example.com"`, `"ann@exa_mple.com"`, `"ann@-a.com"`, `"ann@[127.0.0.1]"`, `"\"ann\"@example.com"`, `"änn@example.com"`, `"a@b@example.com"`, `"` + strings.Repeat("a", 65) + `@example.com"`, `"a@` + strings.Repeat("b.", 130) + `com"`, `"4111111111111111@example.com"`},
		"Role":             {`7`, `"service"`, `"root"`, `""`, `"Admin"`},
		"locked":           {`"true"`, `1`, `{}`},
		"reward_emails":    {`"no"`, `0`},
		"id":               {`7`, `"x"`, `"00000000-0000-0000-0000-000000000000"`, `"{` + owner + `}"`, `"a\u0000"`},
		"password":         {`7`, `"short"`},
		"confirm_password": {`7`},
	} {
		for _, v := range values {
			add("POST", "/user", field, user(fmt.Sprintf(`,%q:%s`, field, v)+confirmed(field, v)))
			if field != "confirm_password" {
				add("PUT", one, field, fmt.Sprintf(`{%q:%s}`, field, v))
			}
		}
	}
	add("POST", "/user", "first_name", `{"email":"x@example.com"}`, `{"first_name":null,"email":"x@example.com"}`)
	add("POST", "/user", "email", `{"first_name":"x"}`)
	add("POST", "/user", "confirm_password", user(`,"password":"long enough"`), user(`,"password":"long enough","confirm_password":"Long enough"`))
	add("POST", "/user", "password", user(`,"confirm_password":"long enough"`), user(`,"Role":"merchant","password":"long enough","confirm_password":"long enough"`))
	add("PUT", one, "password", `{"password":"long enough","confirm_password":"long enough"}`)
	for field, values := range map[string][]string{
		"card_pan":  {"", `7`, `""`, `"x"`, `"4111 1111 1111 1112"`, `"4111 1111 1111 1111 1111 1"`, `"411111111111"`, `"************1111"`, `"4111\u00001111"`, `"` + long + `"`, `4111111111111111`},
		"user_id":   {"", `7`, `""`, `"x"`, `"00000000-0000-0000-0000-000000000000"`, `"` + uuid.NewString() + `"`, `"a\u0000"`},
		"card_type": {"", `7`, `""`, `"none"`, `"a\u0000"`, `"` + long + `"`, `"4111111111111111"`},
		"id":        {`7`, `"x"`, `"00000000-0000-0000-0000-000000000000"`},
	} {
		for _, v := range values {
			add("POST", "/card", field, card(field, v))
		}
	}
	add("POST", "/user/search", "card_pan", `{}`, `{"card_pan":7}`, `{"card_pan":"x"}`, `{"card_pan":"************1111"}`, `{"card_pan":"4111 1111 1111 1112"}`)
	for _, path := range []string{"/user", "/card", "/card/type", one + "/history", "/card/type/gold/history"} {
		for _, n := range []string{"0", "-1", "1001", "1000000000", "99999999999999999999", "x", "1.5", "%00"} {
			add("GET", path+"?page_size="+n, "page_size", "")
		}
		for _, n := range []string{"0", "-1", "1000000001", "x"} {
			add("GET", path+"?page_no="+n, "page_no", "")
		}
	}
	for _, path := range []string{"/user", "/card", "/card/type"} {
		add("GET", path+"?sort=hash", "sort", "")
		add("GET", path+"?sort=-", "sort", "")
	}
	add("GET", "/user?role=root", "role", "")
	add("GET", "/user?locked=1", "locked", "")
	for _, v := range []string{"%00", "%ff", long, "4111111111111111", "4111%201111%201111%201111"} {
		add("GET", "/user?search="+v, "search", "")
		add("GET", "/card?card_type="+v, "card_type", "")
	}
	add("GET", "/card?user_id=x", "user_id", "")
	for _, id := range []string{"x", "00000000-0000-0000-0000-000000000000", "%00", "%ff", "today", "presigned", owner + ";x", "%7B" + owner + "%7D", "urn:uuid:" + owner, strings.ReplaceAll(owner, "-", "")} {
		for _, r := range []string{"GET /user/%s", "PUT /user/%s", "DELETE /user/%s", "GET /user/%s/history", "GET /card/%s", "DELETE /card/%s", "GET /card/%s/history"} {
			method, path, _ := strings.Cut(r, " ")
			add(method, strings.Replace(path, "%s", id, 1), "id", "{}")
		}
	}
	add("PUT", one, "If-Match", `{"If-Match":"bad"}`)
	for _, x := range all {
		var headers []string
		if x.field == "If-Match" {
			headers = append(headers, "If-Match: 3")
		}
		got := b.do("admin", x.method, x.path, x.body, headers...)
		if got.status != 400 {
			t.Errorf("%s %s %s: %d: %s", x.method, x.path, x.body, got.status, got.body)
			continue
		}
		if f := got.failure(t); f.Code != "invalid" || f.Fields[x.field] == "" {
			t.Errorf("%s %s %s does not name %s: %s", x.method, x.path, x.body, x.field, got.body)
		}
	}
	for _, body := range []string{``, `{`, `[]`, `"x"`, `7`, `nul`, "\xff", `{"first_name":"x"`, strings.Repeat("[", 20000), `{} {}`} {
		for _, r := range []string{"POST /user", "PUT " + one, "POST /user/search", "POST /card", "POST /internal/users"} {
			method, path, _ := strings.Cut(r, " ")
			who := "admin"
			if strings.HasPrefix(path, "/internal") {
				who = "service"
			}
			b.want(400, who, method, path, body).failure(t)
		}
	}
	for _, path := range []string{"/user/..%2f", "/card/..%2fx", "/user/" + owner + "/", "/USER/" + owner} {
		b.want(404, "admin", "GET", path, "").failure(t)
	}
	huge := `{"first_name":"` + strings.Repeat("x", 10<<20) + `"}`
	b.want(413, "admin", "POST", "/user", huge).failure(t)
	b.want(413, "service", "POST", "/internal/users", huge).failure(t)
	rows := strings.TrimSuffix(strings.Repeat("{},", 1001), ",")
	for _, body := range []string{`{}`, `{"rows":[]}`, `{"rows":null}`, `{"rows":{}}`, `{"rows":[` + rows + `]}`} {
		if f := b.want(400, "service", "POST", "/internal/users", body).failure(t); f.Fields["rows"] == "" {
			t.Errorf("%.40s: %+v", body, f)
		}
	}
	b.want(400, "service", "POST", "/internal/users", `{"source":7,"rows":[{}]}`).has(t, `"source"`)
	b.want(400, "service", "POST", "/internal/users", `{"source":"a\u0000","rows":[{}]}`).has(t, `"source"`)
	b.want(400, "service", "GET", "/internal/card/x", "").has(t, `"id"`)
	b.want(400, "service", "GET", "/internal/user/x/card", "").has(t, `"id"`)
	b.want(200, "admin", "GET", "/user?page_no=1000000000&page_size=1000&scis_shopping", "").has(t, `"data":[]`)
	b.want(200, "admin", "GET", "/user/"+owner, "").has(t, `"version":1`)
}

// confirmed repeats a password, so that only the password itself is wrong.
func confirmed(field, value string) string {
	if field == "password" && value != "7" {
		return `,"confirm_password":` + value
	}
	return ""
}
