export { type Change, CLEAN_STEPS, cleanDocument, type CleanOptions, type CleanStep, cleanText, FULL_CLEANING } from './clean.ts';
export { convertDocument, convertText, type Conversion } from './convert.ts';
export { cutPoint } from './cut.ts';
export {
  Decontaminator, type DecontaminationCounts, type DecontaminationOptions, type EvaluationItem,
} from './decontaminate.ts';
export { dialogues } from './dialogue.ts';
export { DigestSet } from './digest-set.ts';
export { type Conversation, type Document, identity, plainText, type Place, splitIdentity, textBytes, type TextDocument } from './document.ts';
export { DataError } from './errors.ts';
export { type DropReason, filterDocument, type Filters } from './filter.ts';
export {
  type ChangeExample, type DropExample, type Histogram, inspectShards, inspectSource, type InspectSourceOptions, type Inspection, type InspectOptions,
  uniqueSourceNames,
} from './inspect.ts';
export {
  IGNORED, Loader, type LoaderOptions, type LoaderPlace, type LoaderSource, type MicroBatch, sequentialBatches,
} from './loader.ts';
export { type Guess, identifyLanguage, isAmong, LANGUAGES } from './language.ts';
export { readLines } from './lines.ts';
export { type Manifest, type ManifestSource, readManifest, type Split, splitBase } from './manifest.ts';
export { MinHash, similarity, SKETCH_SIZE } from './minhash.ts';
export { bandsFor, candidateProbability, DEFAULT_THRESHOLD, NearDuplicates } from './near-duplicates.ts';
export { keyOf, permute } from './permutation.ts';
export { findPersonalData, type Masked, maskPersonalData, type MaskOptions, PLACEHOLDERS } from './personal-data.ts';
export { type Finding, PERSONAL_DATA_KINDS, type PersonalDataKind } from './personal-data/finding.ts';
export { type LongConversations, type PieceReport, Pieces } from './pieces.ts';
export { DEFAULT_HELD_OUT, encodeDocument, isHeldOut, prepare, type PrepareOptions, type PrepareProgress, tokenizerDigest } from './prepare.ts';
export { judgeQuality, type LowQuality, QUALITY_RULES, type QualityRule, type QualityThresholds } from './quality.ts';
export { type FieldValue, findFiles, isWanted, readDocuments, type ReadOptions, toDocument } from './readers.ts';
export { deepClean, type OnChange, refineDocument, type Refined, type Refinement } from './refine.ts';
export { maskDocument, Screen, type Screened, type ScreenExceptions, type ScreenOptions, type ScreenReport } from './screen.ts';
export { ShardReader, ShardWriter, type SplitSummary } from './shards.ts';
export { emptyCounts, type FileRecord, fileRecord, readSource, type SourceCounts, sourceFiles, type SourceSpec, splitDigest } from './sources.ts';
export { fillTemplate } from './template.ts';
export { mix, WordHashes } from './word-hashes.ts';
