package sample

// Lookup proposes what may follow ids, by what followed before (Saxena, "Prompt lookup
// decoding", 2023; PromptLookupCandidateGenerator of transformers). For n from maxNgram
// down to 1 it goes through the earlier occurrences of the last n ids from left to right,
// and returns up to num ids after the first with a continuation: a part of ids, not a
// copy. A draft ends before an id that banned (nil: none) reports true for, and is not
// used if that leaves nothing. Placeholders of images must be banned: a copy in the
// answer would ask for pixels. So must end ids, which should only end a text when drawn.
// nil means no draft.
func Lookup(ids []int32, maxNgram, num int, banned func(id int32) bool) []int32 {
	if num <= 0 {
		return nil
	}
	for n := min(maxNgram, len(ids)-1); n > 0; n-- {
		tail := ids[len(ids)-n:]
		for end := n; end < len(ids); end++ { // ids[end-n:end] is the occurrence
			if ids[end-1] != tail[n-1] || !endsWith(ids[:end], tail) {
				continue
			}
			draft := ids[end:min(end+num, len(ids))]
			for i, id := range draft {
				if banned != nil && banned(id) {
					draft = draft[:i]
					break
				}
			}
			if len(draft) > 0 {
				return draft
			}
		}
	}
	return nil
}

// Draft is [Lookup] with the settings of Options, for a history ids of which the first
// promptLen are the prompt. It leaves out StopIDs, BadWords and Suppress by itself, and
// leaves room for the token that a verification adds: a draft of n gives up to n+1 tokens,
// never more than MaxNewTokens. banned adds ids, those of image placeholders above all.
func (s *Sampler) Draft(ids []int32, promptLen int, banned func(id int32) bool) []int32 {
	o := &s.opts
	num, ngram := o.LookupTokens, o.LookupNgram
	if num == 0 {
		return nil
	}
	if o.MaxNewTokens > 0 {
		num = min(num, o.MaxNewTokens-(len(ids)-promptLen)-1)
	}
	if ngram == 0 {
		ngram = 2
	}
	return Lookup(ids, ngram, num, func(id int32) bool {
		if o.ends(id) || contains(o.Suppress, id) || banned != nil && banned(id) {
			return true
		}
		for _, word := range s.badWords {
			if len(word) == 1 && word[0] == id {
				return true
			}
		}
		return false
	})
}
