// Package coalesce turns concurrent single writes into few larger ones (group
// commit), while every caller still waits until its own item is durable.
//
// It knows nothing of what is written, holds no timer and keeps no goroutine
// while idle: a lone writer is never delayed in the hope of company.
package coalesce
