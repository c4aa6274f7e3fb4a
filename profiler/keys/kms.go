package keys

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Client is what is needed of a *kms.Client.
type Client interface {
	GetPublicKey(context.Context, *kms.GetPublicKeyInput, ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error)
	Sign(context.Context, *kms.SignInput, ...func(*kms.Options)) (*kms.SignOutput, error)
}

// rawMost is how many bytes KMS takes to hash by itself.
const rawMost = 4096

// KMS returns keys that AWS KMS keeps, by their ids, ARNs or aliases: the first signs, all are
// published. They are asymmetric keys of the spec ECC_NIST_P256 for SIGN_VERIFY. It reads their public
// halves; an error of that may pass.
func KMS(ctx context.Context, client Client, ids ...string) (*Ring, error) {
	var all []key
	for _, id := range ids {
		k, err := kmsKey(ctx, client, strings.TrimSpace(id))
		if err != nil {
			return nil, fmt.Errorf("the KMS key %s: %w", id, err)
		}
		all = append(all, k)
	}
	return ring(all)
}

func kmsKey(ctx context.Context, client Client, id string) (key, error) {
	got, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &id})
	if err != nil {
		return key{}, err
	}
	if got.KeyUsage != types.KeyUsageTypeSignVerify {
		return key{}, fmt.Errorf("it is for %s; tokens need one for SIGN_VERIFY of the spec ECC_NIST_P256", got.KeyUsage)
	}
	parsed, err := x509.ParsePKIXPublicKey(got.PublicKey)
	if err != nil {
		return key{}, fmt.Errorf("its public half cannot be read: %w", err)
	}
	public, err := publish(parsed)
	if err != nil {
		return key{}, err
	}
	// An alias may point to another key tomorrow; what is published must be what signs.
	if got.KeyId != nil && *got.KeyId != "" {
		id = *got.KeyId
	}
	return key{public, func(ctx context.Context, input []byte) ([]byte, error) {
		if len(input) > rawMost {
			return nil, fmt.Errorf("signing with KMS: %d bytes are more than a token has", len(input))
		}
		out, err := client.Sign(ctx, &kms.SignInput{
			KeyId: &id, Message: input, MessageType: types.MessageTypeRaw, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
		})
		if err != nil {
			return nil, fmt.Errorf("signing with KMS: %w", err)
		}
		return fromDER(out.Signature)
	}}, nil
}

// fromDER turns the signature of KMS, an ECDSA-Sig-Value (RFC 3279, 2.2.3), into that of a JWT (RFC
// 7518, 3.4).
func fromDER(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) > 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return nil, errors.New("signing with KMS: its answer is not a signature of P-256")
	}
	return joined(sig.R, sig.S), nil
}

func joined(r, s *big.Int) []byte {
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}
