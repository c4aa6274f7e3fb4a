package emailer_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/angelowl-loyalties/app/emailer"
	"github.com/angelowl-loyalties/app/loyalty"
)

var shopLine = regexp.MustCompile(`(?m)^- (Shop \d+)\r?$`)

// The rewarders are down, or behind, over one midnight after another, and catch up by and by: everybody
// hears of each of their rewards, once, and has one mail a night at most.
func TestEverybodyHearsOfEveryRewardOnce(t *testing.T) {
	late := 0
	for _, seed := range []uint64{1, 2, rand.Uint64()} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { late += lateNights(t, seed) })
	}
	if late == 0 {
		t.Error("the rewarders were never behind")
	}
}

// lateNights is some nights of chance, and how many of them were late.
func lateNights(t *testing.T, seed uint64) (late int) {
	w := start(t)
	r := rand.New(rand.NewPCG(seed, 1))
	people := make([]person, 12)
	for i := range people {
		people[i] = w.person("Ann", 1+i%3)
	}
	// reward is one that a record in the log leads to.
	type reward struct {
		of   person
		shop string
		day  loyalty.Date
	}
	var all []reward
	var waits [partitions][]reward // for the rewarders, in the order of the log
	var read [partitions]int64
	rewarded := func(p int) { // the next record of a partition
		next := waits[p][0]
		waits[p] = waits[p][1:]
		read[p]++
		w.reward(next.of.cards[r.IntN(len(next.of.cards))], next.day, 5, func(row *loyalty.Row) { row.Merchant = next.shop })
	}
	const nights = 5
	for night := range nights {
		day := w.day + loyalty.Date(night)
		for hour := range 6 {
			w.produce(w.at(day, time.Duration(3+3*hour)*time.Hour))
			for p := range partitions {
				one := reward{people[r.IntN(len(people))], "Shop " + string(rune('1'+night)) + string(rune('0'+hour)) + string(rune('0'+p)), day}
				all, waits[p] = append(all, one), append(waits[p], one)
			}
		}
		down := night < nights-1 && r.IntN(4) > 0
		for p := range partitions {
			for len(waits[p]) > 0 && (!down || r.IntN(8) > 0) {
				rewarded(p)
			}
		}
		w.commit(read[:]...)
		behind := false
		for p := range partitions {
			behind = behind || len(waits[p]) > 0
		}
		at := func(since time.Duration, want emailer.Result) {
			t.Helper()
			got, err := w.handler(w.at(day+1, since)).Handle(t.Context(), emailer.Event{})
			if err != nil || got.State != want.State || got.Late != want.Late || got.Failed+got.Refused > 0 {
				t.Fatalf("night %d, %s after midnight, behind %t: %+v %v", night, since, behind, got, err)
			}
		}
		if behind {
			late++
			at(10*time.Minute, emailer.Result{State: emailer.Waiting})
			if r.IntN(2) == 0 { // they catch up in time
				for p := range partitions {
					for len(waits[p]) > 0 {
						rewarded(p)
					}
				}
				w.commit(read[:]...)
				at(20*time.Minute, emailer.Result{State: emailer.Done})
				continue
			}
			at(2*time.Hour, emailer.Result{State: emailer.Done, Late: true})
			at(3*time.Hour, emailer.Result{State: emailer.Done}) // the schedule goes on
			continue
		}
		at(10*time.Minute, emailer.Result{State: emailer.Done})
	}
	told := map[string]int{} // by person and shop
	for _, p := range people {
		ids := map[string]bool{}
		for _, m := range w.mails(p) {
			if ids[m.ID] {
				t.Errorf("%s has two mails %s", p.email, m.ID)
			}
			ids[m.ID] = true
			for _, line := range shopLine.FindAllStringSubmatch(m.Text, -1) {
				told[p.email+" "+line[1]]++
			}
		}
	}
	for _, one := range all {
		if n := told[one.of.email+" "+one.shop]; n != 1 {
			t.Errorf("%s hears %d times of %s on %s", one.of.email, n, one.shop, one.day)
		}
		delete(told, one.of.email+" "+one.shop)
	}
	if len(told) > 0 {
		t.Errorf("there are mails about %v, too", told)
	}
	return late
}
