/**
 * Events: server-sent events, the subscription loop, topics. Knows neither storage nor auth nor
 * raystream; the runtime puts them together.
 *
 * @module
 */
export {
  EVENT_TYPES,
  type EventType,
  parseSubscribeRequest,
  type ServerEvent,
  SUBSCRIBE_LIMITS,
  type SubscribeRequest,
} from "./event.ts";
export { sseFrame, sseResponse, type SseResponseOptions } from "./response.ts";
export {
  encodeSse,
  encodeSseComment,
  SSE_MAX_EVENT,
  type SseEvent,
  type SseFrame,
  SseParser,
} from "./sse.ts";
export {
  type ChangeFeed,
  type FeedBatch,
  type FeedChange,
  type FollowedFeed,
  type ResumeSealer,
  subscriptionEvents,
  type SubscriptionOptions,
} from "./subscription.ts";
export {
  checkMessage,
  checkName as checkTopicName,
  parseTopicSource,
  TOPIC_LIMITS,
  TOPIC_PREFIX,
  TopicHub,
  type TopicLimits,
  type TopicSource,
} from "./topics.ts";
