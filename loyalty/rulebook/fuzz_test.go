package rulebook

import (
	"bytes"
	"reflect"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/angelowl-loyalties/app/loyalty"
)

func FuzzDecodeValue(f *testing.F) {
	for _, s := range []string{`{"version":1,"data":{"mcc":1}}`, `{"version":2,"deleted":true}`, `{"version":0}`, `{"version":1,"data":null}`, `{"version":1,"deleted":true,"data":""}`, "null", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := DecodeValue(data)
		if err != nil {
			return
		}
		text, err := v.Encode()
		if err != nil {
			t.Fatalf("%q is read as %+v and cannot be written: %v", data, v, err)
		}
		back, err := DecodeValue(text)
		if err != nil || back.Version != v.Version || back.Deleted != v.Deleted {
			t.Fatalf("%q is written %s and that read as %+v, %v", data, text, back, err)
		}
		if again, err := back.Encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s is written %s the next time, %v", text, again, err)
		}
	})
}

// FuzzMirror holds that whatever stands under whatever key either is a rule, or keeps the mirror
// from saying anything and is named; that it changes nothing but itself; and that nothing is left of
// it when it is gone.
func FuzzMirror(f *testing.F) {
	const id = "3d1b6d6b-9b57-4f44-8b3d-8e3d3a1f7a11"
	for _, kv := range [][2]string{
		{Key(Campaigns, id), `{"version":1,"data":{"id":"` + id + `","name":"n","start_date":"2019-01-01","end_date":"2019-12-31","reward_program":"a","reward_amount":1,"mcc":"0"}}`},
		{Key(Exclusions, id), `{"version":3,"data":{"id":"` + id + `","mcc":6051,"valid_from":"2019-01-01"}}`},
		{Key(CardTypes, "b"), `{"version":1,"data":{"card_type":"b","name":"B","reward_unit":"miles","reward_program":"B"}}`},
		{Key(Quotes, "2019"), `{"version":1,"data":{"year":2019,"days":{"2019-01-02":{"base":"EUR","quotes":{"SGD":1.5}}}}}`},
		{Key(Quotes, "+2019"), `{"version":1,"deleted":true}`}, {Key(Campaigns, "{"+id+"}"), `{"version":2,"deleted":true}`},
		{EpochKey, "7"}, {EpochKey, "-7"}, {Prefix, "x"}, {Prefix + "tier/a", `{"version":1,"data":1}`}, {Key(CardTypes, "a"), `{"version":9,"deleted":true}`},
	} {
		f.Add(kv[0], []byte(kv[1]))
	}
	home := loyalty.MustCurrency("SGD")
	rules := []*mvccpb.KeyValue{
		{Key: []byte(EpochKey), Value: []byte("5"), ModRevision: 1},
		{Key: []byte(Key(CardTypes, "a")), Value: []byte(`{"version":1,"data":{"card_type":"a","name":"A","reward_unit":"points","reward_program":"A"}}`), ModRevision: 2},
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		m := newMirror(home)
		m.replace(rules)
		before, err := whole(m)
		if err != nil {
			t.Fatal(err)
		}
		kv := &mvccpb.KeyValue{Key: []byte(key), Value: value, ModRevision: 3}
		m.put(kv)
		after, err := whole(m)
		if bad := m.bad[key]; (bad == nil) != (err == nil) {
			t.Fatalf("%q = %q: the value is bad (%v), and the snapshot says %v", key, value, bad, err)
		}
		if err == nil {
			// It is the same for whoever lists the keys in another order.
			other := newMirror(home)
			other.put(kv)
			for _, kv := range rules {
				if string(kv.Key) != key {
					other.put(kv)
				}
			}
			if same, err := whole(other); err != nil || same.Rules.Hash() != after.Rules.Hash() || same.Epoch != after.Epoch || !reflect.DeepEqual(same.Parts, after.Parts) {
				t.Fatalf("%q = %q: %+v, and in another order %+v, %v", key, value, after.Marker(), same.Marker(), err)
			}
		}
		m.remove(key, 4)
		m.replace(rules)
		if gone, err := whole(m); err != nil || gone.Rules.Hash() != before.Rules.Hash() || gone.Epoch != before.Epoch {
			t.Errorf("%q = %q leaves something behind: %+v, before %+v, %v", key, value, gone.Marker(), before.Marker(), err)
		}
	})
}

// whole is the snapshot of what a mirror holds, compiled.
func whole(m *mirror) (Snapshot, error) {
	s, err := m.store()
	if err == nil {
		m.compile(&s)
	}
	return s, err
}
