package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3event"
)

// Notification says who is told of the objects of a bucket, as S3 tells a lambda.
//
// S3's promise is "at least once", and so is this one, across crashes too: an object is told
// until Deliver returns nil for it, and what nobody was told of because the process died is found
// by listing the bucket, at the start and every Every.
type Notification struct {
	Bucket string
	Prefix string // of the keys; "" is all
	// Deliver is called with the JSON of an events.S3Event of one record, one call at a time, in
	// the order in which the objects came. An error makes it come again, after others that wait.
	Deliver func(ctx context.Context, event []byte) error
	// Done says whether an object has been dealt with (its report is there). An object that a
	// listing finds and that is not done is told again. nil: everything is told at each start.
	Done func(ctx context.Context, bucket, key string) (bool, error)
	// Every is the time between listings; 0 is a minute.
	Every time.Duration
}

// sender takes versitygw's events where they arise. Its own senders do not serve here: the
// webhook's tries once, in a goroutine that nobody waits for, and announces itself on stdout.
type sender struct{ notes []*notifier }

func (s sender) Close() error { return nil }

func (s sender) SendEvent(ctx fiber.Ctx, m s3event.EventMeta) {
	name, ok := strings.CutPrefix(string(m.EventName), "s3:")
	if !ok || !strings.HasPrefix(name, "ObjectCreated:") {
		return
	}
	// The memory of the path is the request's; it is used again after it.
	bucket, key, ok := strings.Cut(strings.TrimPrefix(strings.Clone(ctx.Path()), "/"), "/")
	if !ok || key == "" {
		return
	}
	o := object{bucket: bucket, key: key, event: name, size: m.ObjectSize, at: time.Now()}
	if m.ObjectETag != nil {
		o.etag = strings.Trim(strings.Clone(*m.ObjectETag), `"`)
	}
	for _, n := range s.notes {
		if n.Bucket == bucket && strings.HasPrefix(key, n.Prefix) {
			n.add(o)
		}
	}
}

type object struct {
	bucket, key, event, etag string
	size                     int64
	at                       time.Time
}

// payload is the event as S3 sends it: the key URL-encoded as in a form.
func (o object) payload() ([]byte, error) {
	return json.Marshal(events.S3Event{Records: []events.S3EventRecord{{
		EventVersion: "2.1", EventSource: "aws:s3", AWSRegion: Region, EventTime: o.at.UTC(), EventName: o.event,
		S3: events.S3Entity{
			SchemaVersion: "1.0", ConfigurationID: "local",
			Bucket: events.S3Bucket{Name: o.bucket, Arn: "arn:aws:s3:::" + o.bucket},
			Object: events.S3Object{Key: url.QueryEscape(o.key), Size: o.size, ETag: o.etag},
		},
	}}})
}

// notifier is the queue of one Notification.
type notifier struct {
	Notification
	server *Server
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu    sync.Mutex
	queue []object
}

func newNotifier(s *Server, n Notification) *notifier {
	if n.Every <= 0 {
		n.Every = time.Minute
	}
	return &notifier{Notification: n, server: s, wake: make(chan struct{}, 1)}
}

func (n *notifier) add(o object) {
	n.mu.Lock()
	n.queue = append(n.queue, o)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) take() (object, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		return object{}, false
	}
	o := n.queue[0]
	n.queue = n.queue[1:]
	return o, true
}

func (n *notifier) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.done = cancel, make(chan struct{})
	go func() {
		defer close(n.done)
		n.run(ctx)
	}()
}

func (n *notifier) close() {
	if n.cancel == nil {
		return
	}
	n.cancel()
	<-n.done
}

const (
	firstPause = 100 * time.Millisecond
	longPause  = 10 * time.Second
)

func (n *notifier) run(ctx context.Context) {
	log := n.server.cfg.Log.With("bucket", n.Bucket)
	list := time.NewTimer(0) // at once: what a crash left behind
	defer list.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	<-retry.C
	pause := firstPause
	told := map[string]bool{} // or done: a listing has nothing to say of them
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-retry.C:
		case <-list.C:
			if err := n.reconcile(ctx, told); err != nil && ctx.Err() == nil {
				log.Warn("listing the objects that wait", "error", err)
			}
			list.Reset(n.Every)
		}
		failed := n.deliverAll(ctx, told, func(o object, err error) {
			log.Warn("telling of an object; it is told again", "key", o.key, "error", err, "pause", pause)
		})
		if !failed {
			pause = firstPause
			continue
		}
		retry.Reset(pause)
		pause = min(2*pause, longPause)
	}
}

// deliverAll tells of each object in the queue once. Those that fail are put back; it says
// whether there were any.
func (n *notifier) deliverAll(ctx context.Context, told map[string]bool, failed func(object, error)) bool {
	var again []object
	for {
		o, ok := n.take()
		if !ok || ctx.Err() != nil {
			break
		}
		payload, err := o.payload()
		if err == nil {
			err = n.Deliver(ctx, payload)
		}
		if ctx.Err() != nil {
			break // the next start finds it by listing
		}
		if err != nil {
			failed(o, err)
			again = append(again, o)
			continue
		}
		told[o.key] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(again, n.queue...)
	return len(again) > 0
}

// reconcile queues the objects that are in the bucket, not done and not in the queue.
func (n *notifier) reconcile(ctx context.Context, told map[string]bool) error {
	waits := map[string]bool{}
	n.mu.Lock()
	for _, o := range n.queue {
		waits[o.key] = true
	}
	n.mu.Unlock()
	var found []object
	pages := awss3.NewListObjectsV2Paginator(n.server.client, &awss3.ListObjectsV2Input{Bucket: &n.Bucket, Prefix: &n.Prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the bucket: %w", err)
		}
		for _, c := range page.Contents {
			key := *c.Key
			if waits[key] || told[key] || strings.HasSuffix(key, "/") {
				continue
			}
			if n.Done != nil {
				done, err := n.Done(ctx, n.Bucket, key)
				if err != nil {
					return fmt.Errorf("asking whether an object is done: %w", err)
				}
				if done {
					told[key] = true
					continue
				}
			}
			o := object{bucket: n.Bucket, key: key, event: "ObjectCreated:Put", at: time.Now()}
			if c.Size != nil {
				o.size = *c.Size
			}
			if c.ETag != nil {
				o.etag = strings.Trim(*c.ETag, `"`)
			}
			if c.LastModified != nil {
				o.at = *c.LastModified
			}
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b object) int { return a.at.Compare(b.at) })
	for _, o := range found {
		n.add(o)
	}
	return nil
}
