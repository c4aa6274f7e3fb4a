package rulesapitest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/angelowl-loyalties/app/loyalty/rulebook"
)

func TestCardTypes(t *testing.T) {
	cli := startEtcd(t).client()
	p := startProfiler(t, cli)
	const one = "/card/type/scis_platinummiles"
	p.want(200, "GET", "/card/type?scis_shopping", "").has(t, `"data":[]`)
	p.want(404, "GET", one, "")
	p.want(404, "PUT", one, miles)
	made := p.want(201, "POST", "/card/type", strings.Replace(miles, `,"decimals":0`, "", 1))
	made.has(t, strings.TrimSuffix(miles, "}"), `"version":1,"published":true`)
	if made.header.Get("ETag") != `"1"` || made.header.Get("Location") != one {
		t.Errorf("headers: %v", made.header)
	}
	p.want(409, "POST", "/card/type", miles).has(t, `"code":"exists"`)
	p.want(200, "GET", "/card/type?scis_shopping", "").has(t, `"total":1`, `"card_type":"scis_platinummiles"`)
	changed := strings.Replace(miles, "SCISMiles", "Miles", 1)
	p.want(200, "PUT", one, changed, `If-Match: "1"`).has(t, `"version":2,"published":true`)
	p.want(412, "PUT", one, miles, `If-Match: "1"`)
	p.want(400, "PUT", one, strings.Replace(miles, "scis_platinummiles", "other", 1)).has(t, `"card_type"`)
	p.want(200, "PUT", one, `{"name":"n","reward_unit":"cashback","reward_program":"p"}`).has(t, `"decimals":2`)
	if v, _ := value(t, cli, rulebook.CardTypes, "scis_platinummiles"); v.Version != 3 {
		t.Errorf("in etcd: %+v", v)
	}
	p.want(200, "GET", one+"/history", "").has(t, `"total":3`, `"who":`)
	for field, body := range map[string]string{
		"card_type":      `{"name":"n","reward_unit":"points","reward_program":"p"}`,
		"name":           `{"card_type":"a","reward_unit":"points","reward_program":"p"}`,
		"reward_unit":    `{"card_type":"a","name":"n","reward_program":"p"}`,
		"reward_program": `{"card_type":"a","name":"n","reward_unit":"points"}`,
		"decimals":       `{"card_type":"a","name":"n","reward_unit":"points","reward_program":"p","decimals":5}`,
		"colour":         `{"card_type":"a","name":"n","reward_unit":"points","reward_program":"p","colour":"red"}`,
	} {
		p.want(400, "POST", "/card/type", body).has(t, `"fields":{"`+field+`":`)
	}
	p.want(400, "POST", "/card/type", strings.Replace(miles, "scis_platinummiles", "a/b", 1)).has(t, `"card_type"`)
	p.want(400, "GET", "/card/type/%ff", "")
	p.want(200, "GET", "/swagger/index.html", "")
	p.want(204, "DELETE", one, "")
	p.want(404, "GET", one, "")
	if v, _ := value(t, cli, rulebook.CardTypes, "scis_platinummiles"); v.Version != 4 || !v.Deleted {
		t.Errorf("in etcd: %+v", v)
	}
}

func TestACardTypeInUseIsNotDeleted(t *testing.T) {
	etcd := startEtcd(t)
	cli := etcd.client()
	p := startProfiler(t, cli)
	s := startCampaignex(t, campaignStore(t, filepath.Join(t.TempDir(), "rules.db")), cli, silent)
	const one = "/card/type/scis_platinummiles"
	p.want(201, "POST", "/card/type", miles)
	s.want(201, "POST", "/campaign", kaligo(id, "Kaligo", "10")).has(t, `"published":true`)
	p.want(409, "DELETE", one, "").has(t, `"code":"in_use"`, "Kaligo")
	p.want(200, "GET", one, "")
	s.want(204, "DELETE", "/campaign/"+id, "")
	etcd.stop()
	p.want(503, "DELETE", one, "").has(t, `"code":"rules_unavailable"`)
	etcd.start()
	eventually(t, "deleted", func() bool { return p.do("DELETE", one, "").status == 204 })
	p.want(404, "GET", one, "")
}
