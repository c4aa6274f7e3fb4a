package petrock

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/uuid"
)

// Lambda asks for first passwords by invoking the lambda passworder asynchronously: Lambda keeps the
// event, and retries it, once it has taken it. It needs lambda:InvokeFunction on the function.
type Lambda struct {
	Client   *lambda.Client
	Function string // its name or ARN
}

// Ask is Passwords'.
func (l Lambda) Ask(ctx context.Context, user uuid.UUID) error {
	payload, err := json.Marshal(map[string]string{"user_id": user.String()}) // passworder.Event
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	if _, err := l.Client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &l.Function, InvocationType: types.InvocationTypeEvent, Payload: payload}); err != nil {
		return fmt.Errorf("invoking %s: %w", l.Function, err)
	}
	return nil
}
