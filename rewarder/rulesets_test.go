package rewarder

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/IBM/sarama"

	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/angelowl-loyalties/app/loyalty/rulebook"
	"github.com/angelowl-loyalties/app/loyalty/rules"
)

// noParts is a store that has none, and counts who asks.
type noParts struct {
	Store
	asked int
}

func (s *noParts) Part(context.Context, loyalty.Hash) ([]byte, error) {
	s.asked++
	return nil, ErrNotFound
}

// A marker may be read while its rules are still being compiled: the reader waits for those and
// does not compile them once more from the store.
func TestARuleSetThatIsBeingCompiledIsWaitedFor(t *testing.T) {
	set, _, err := rules.NewBook(loyalty.MustCurrency("SGD")).Compile()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store := &noParts{}
		sets := newRuleSets(store, 2)
		sets.expect(set.Hash())
		gave := make(chan *rules.Rules, 1)
		go func() {
			got, err := sets.get(t.Context(), set.Hash())
			if err != nil {
				t.Error(err)
			}
			gave <- got
		}()
		synctest.Wait()
		if len(gave) > 0 {
			t.Fatal("it did not wait")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := sets.get(ended, set.Hash()); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting past the end of its context: %v", err)
		}
		if _, err := sets.get(t.Context(), loyalty.Hash{1}); !errors.Is(err, ErrNotFound) || store.asked != 1 {
			t.Errorf("another rule set waits too: %v", err)
		}
		sets.keep(set)
		if got := <-gave; got != set {
			t.Error("it got another rule set")
		}
		sets.expect(set.Hash()) // an edit that was taken back: it is at hand
		if got, err := sets.get(t.Context(), set.Hash()); got != set || err != nil || store.asked != 1 {
			t.Errorf("a rule set that is at hand: %v", err)
		}
	})
}

// keptParts is a store or a topic of parts.
type keptParts struct {
	Store
	parts map[loyalty.Hash][]byte
	reads int
	err   error
}

func (k *keptParts) Part(_ context.Context, h loyalty.Hash) ([]byte, error) {
	if data, ok := k.parts[h]; ok {
		return data, nil
	}
	return nil, ErrNotFound
}

func (k *keptParts) PutParts(_ context.Context, parts []rules.Part) error {
	for _, p := range parts {
		k.parts[p.Hash] = p.Data
	}
	return k.err
}

func (k *keptParts) send(ctx context.Context, parts []rules.Part) error {
	return k.PutParts(ctx, parts)
}

func (k *keptParts) read(_ context.Context, take func([]rules.Part) error) error {
	k.reads++
	for h, data := range k.parts {
		if err := take([]rules.Part{{Hash: h, Data: data}}); err != nil {
			return err
		}
	}
	return k.err
}

// A store that was lost gets its rule sets back from the topic that each was sent to before its marker.
func TestARuleSetThatTheStoreLostIsReadBack(t *testing.T) {
	book := rules.NewBook(loyalty.MustCurrency("SGD"))
	set, parts, err := book.Compile()
	if err != nil {
		t.Fatal(err)
	}
	snap := &rulebook.Snapshot{Hash: set.Hash(), Parts: parts}
	broken := errors.New("broken")
	store, topic := &keptParts{parts: map[loyalty.Hash][]byte{}}, &keptParts{parts: map[loyalty.Hash][]byte{}, err: broken}
	fresh := func() *ruleSets {
		s := newRuleSets(store, 2)
		s.log = topic
		return s
	}
	sets := fresh()
	if err := sets.save(t.Context(), snap); !errors.Is(err, broken) {
		t.Errorf("a rule set counts as stored that the topic has not: %v", err)
	}
	topic.err = nil
	if err := sets.save(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	if len(topic.parts) != len(parts) {
		t.Errorf("the topic has %d parts of %d", len(topic.parts), len(parts))
	}
	if got, err := fresh().get(t.Context(), set.Hash()); err != nil || got.Hash() != set.Hash() || topic.reads != 0 {
		t.Errorf("from the store: %v, %d reads of the topic", err, topic.reads)
	}
	clear(store.parts)
	topic.err = broken
	if _, err := fresh().get(t.Context(), set.Hash()); !errors.Is(err, broken) {
		t.Errorf("the topic fails: %v", err)
	}
	topic.err = nil
	clear(store.parts)
	if got, err := fresh().get(t.Context(), set.Hash()); err != nil || got.Hash() != set.Hash() || len(store.parts) != len(parts) {
		t.Errorf("from the topic: %v; the store has %d parts", err, len(store.parts))
	}
	if _, err := fresh().get(t.Context(), loyalty.Hash{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that there never was: %v", err)
	}
}

func TestAPartIsWhatItsKeySays(t *testing.T) {
	sent := &sentMessages{}
	p := &partTopic{r: &rewarder{sender: sent}, topic: "spend.rules"}
	part := rules.Part{Hash: loyalty.HashOf([]byte("part")), Data: []byte("part")}
	if err := p.send(t.Context(), []rules.Part{part}); err != nil {
		t.Fatal(err)
	}
	m := sent.messages[0]
	value, err := m.Value.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodePart(&sarama.ConsumerMessage{Key: []byte(part.Hash.String()), Value: value}); err != nil || got.Hash != part.Hash || string(got.Data) != "part" {
		t.Errorf("%v, %v", got, err)
	}
	for name, bad := range map[string]*sarama.ConsumerMessage{
		"another key":    {Key: []byte(loyalty.Hash{1}.String()), Value: value},
		"cut off":        {Key: []byte(part.Hash.String()), Value: value[:len(value)-9]},
		"not compressed": {Key: []byte(part.Hash.String()), Value: []byte("part")},
		"nothing":        {},
	} {
		if _, err := decodePart(bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

type sentMessages struct {
	sarama.SyncProducer
	messages []*sarama.ProducerMessage
}

func (s *sentMessages) SendMessages(m []*sarama.ProducerMessage) error {
	s.messages = append(s.messages, m...)
	return nil
}
