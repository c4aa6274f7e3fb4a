package rewarder

import (
	"testing"
	"time"
)

func TestTheGroupsPatience(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  time.Duration
		want time.Duration
	}{
		{"as it is by default", 0, 10 * time.Second},
		{"as long as a restart takes", 90 * time.Second, 90 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{InstanceID: "rewarder-0", SessionTimeout: tt.set}
			cfg.setDefaults()
			c := saramaConfig(cfg)
			if got := c.Consumer.Group.Session.Timeout; got != tt.want || c.Consumer.Group.InstanceId != "rewarder-0" {
				t.Errorf("the group waits %s for %q, want %s", got, c.Consumer.Group.InstanceId, tt.want)
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}
