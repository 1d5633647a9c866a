//! The book of prompts: everything the flows can say, rendered before the
//! first call is answered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use desk::TenantId;
use ivr_flows::{Expansions, Flow, Language, prompts};
use media::clip::Clip;
use speech::{
    Backend, Cache, CacheConfig, CommandVoice, SpeechError, Studio, StudioConfig, TicketClips,
    Voice, VoiceError,
};

use crate::config::{HelpDesk, Hospital, Speech};
use crate::prompter::TicketPairs;
use crate::serve::OPERATOR;

/// Longest time that rendering may take before the first call: some hundred
/// sentences at a fifth of a second each, on a slow machine.
const RENDERING_MAX: Duration = Duration::from_secs(600);

/// Prompts asked for at a time: within what the studio lets one hospital wait for.
const AT_ONCE: usize = 32;

/// Greetings by name that a test phone learns to recognise, and how long it
/// waits for one.
const NAMED_MAX: usize = 200;
const NAMED_WAIT: Duration = Duration::from_secs(5);

/// Why there is no voice.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The built-in voice can't be loaded; says what is missing and how to get it.
    #[error(transparent)]
    Voice(#[from] VoiceError),
    /// A prompt can't be spoken.
    #[error("\"{text}\" can't be spoken: {error}")]
    Text {
        /// The prompt.
        text: String,
        /// Why.
        error: SpeechError,
    },
    /// The studio or its cache can't be used.
    #[error("speech: {0}")]
    Io(#[from] std::io::Error),
    /// `speech.command` is empty.
    #[error("speech.command is empty; write the program and its arguments")]
    NoCommand,
    /// A key of `speech.languages` is no language.
    #[error("speech.languages: \"{0}\" is no language; write two small letters, e.g. es")]
    NoLanguage(String),
    /// It took too long.
    #[error("rendering the prompts took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
}

/// Finds the folder of the built-in voice: as configured, else `voices/hibari`
/// beside the working directory or above the program.
pub fn voices_dir(configured: Option<&Path>) -> PathBuf {
    if let Some(dir) = configured {
        return dir.to_owned();
    }
    let beside = PathBuf::from("voices/hibari");
    if beside.is_dir() {
        return beside;
    }
    std::env::current_exe()
        .ok()
        .and_then(|program| {
            program
                .ancestors()
                .map(|dir| dir.join("voices/hibari"))
                .find(|dir| dir.is_dir())
        })
        .unwrap_or(beside)
}

/// Starts the voice.
///
/// # Errors
/// See [`PromptError`].
pub fn studio(speech: &Speech, speech_dir: &Path) -> Result<Studio, PromptError> {
    let backend = match &speech.command {
        Some(command) => {
            let (program, args) = command.split_first().ok_or(PromptError::NoCommand)?;
            Backend::Command(CommandVoice::new(program, args))
        }
        None => {
            let dir = voices_dir(speech.voices.as_deref());
            Backend::Hibari(Arc::new(Voice::load(&dir)?))
        }
    };
    let cache = Cache::open(CacheConfig::new(speech_dir))?;
    let config = StudioConfig {
        workers: usize::from(speech.threads.max(1)),
        ..StudioConfig::default()
    };
    Ok(Studio::start(config, backend, Some(cache))?)
}

/// A language besides English.
pub struct Tongue {
    /// Which.
    pub language: Language,
    /// Who speaks it.
    pub studio: Arc<Studio>,
    /// Everything that is rendered before the first call.
    pub book: Book,
}

/// A language that the flows speak and nobody here can: its program isn't installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unvoiced {
    /// Which.
    pub language: Language,
    /// What `speech.languages` names for it.
    pub program: String,
}

/// What an administrator is told, on one line.
impl std::fmt::Display for Unvoiced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { language, program } = self;
        write!(
            f,
            "Callers aren't offered the language {language}: its voice, {program}, isn't installed"
        )?;
        // What stands without a path comes from a package, mostly of the same name.
        if program.contains('/') {
            return Ok(());
        }
        write!(f, " (sudo apt-get install {program})")
    }
}

/// Is there such a program, at its path or where programs are looked for?
fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Starts the voices of the languages besides English that the flows speak,
/// and renders what is fixed. A language whose voice can't be had is left out,
/// and callers aren't offered it: those whose program isn't installed come
/// second, of others the log says what went wrong.
///
/// # Errors
/// When the configuration itself is wrong.
pub fn tongues(
    speech: &Speech,
    speech_dir: &Path,
    helpdesk: &HelpDesk,
) -> Result<(Vec<Tongue>, Vec<Unvoiced>), PromptError> {
    let mut tongues = Vec::new();
    let mut unvoiced = Vec::new();
    for (tag, command) in &speech.languages {
        let language = Language::from_tag(tag)
            .filter(|language| *language != Language::ENGLISH)
            .ok_or_else(|| PromptError::NoLanguage(tag.clone()))?;
        let (program, args) = command.split_first().ok_or(PromptError::NoCommand)?;
        let spoken = helpdesk
            .hospitals
            .iter()
            .flat_map(Hospital::flows)
            .filter_map(|name| helpdesk.flows.get(name))
            .any(|flow| flow.languages().contains(&language));
        if !spoken {
            continue;
        }
        if !is_installed(program) {
            unvoiced.push(Unvoiced {
                language,
                program: program.clone(),
            });
            continue;
        }
        let config = StudioConfig {
            language: speech::Language::AsWritten,
            workers: usize::from(speech.threads.max(1)),
            ..StudioConfig::default()
        };
        let backend = Backend::Command(CommandVoice::new(program, args));
        let cache = Cache::open(CacheConfig::new(speech_dir))?;
        let studio = Arc::new(Studio::start(config, backend, Some(cache))?);
        match Book::in_language(language, &studio, helpdesk, |_, _| {}) {
            Ok(book) => tongues.push(Tongue {
                language,
                studio,
                book,
            }),
            Err(error) => {
                tracing::warn!(%language, %error, "no voice: callers aren't offered this language")
            }
        }
    }
    Ok((tongues, unvoiced))
}

/// Fixed prompts by hospital and text.
pub type Fixed = HashMap<(TenantId, Arc<str>), Arc<Clip>>;

/// Everything that is rendered before the first call, in one language.
pub struct Book {
    /// Fixed prompts by hospital and text.
    pub fixed: Fixed,
    /// The pairs of ticket digits.
    pub tickets: TicketPairs,
    /// Texts with names, to be rendered when nobody waits for anything else.
    pub later: Vec<(TenantId, Vec<String>)>,
}

impl Book {
    /// Renders everything fixed; `progress` is told how many are done of how many.
    ///
    /// # Errors
    /// When a prompt can't be spoken: a flow that would fall silent isn't served.
    pub fn render(
        studio: &Studio,
        helpdesk: &HelpDesk,
        progress: impl FnMut(usize, usize),
    ) -> Result<Self, PromptError> {
        Self::in_language(Language::ENGLISH, studio, helpdesk, progress)
    }

    /// The same in another language, of which `studio` has the voice.
    pub(crate) fn in_language(
        language: Language,
        studio: &Studio,
        helpdesk: &HelpDesk,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, PromptError> {
        let deadline = Instant::now() + RENDERING_MAX;
        let mut fixed = HashMap::new();
        let mut later = Vec::new();
        let mut wanted: Vec<(TenantId, Arc<str>)> = Vec::new();
        for hospital in &helpdesk.hospitals {
            let tenant = TenantId(hospital.id);
            let people = hospital.people.iter().map(|p| p.spoken.as_str());
            let places = hospital.places.iter().map(|p| p.spoken.as_str());
            let names: Vec<&str> = people.chain(places).collect();
            let mut flows: Vec<&str> = hospital.flows().collect();
            flows.sort_unstable();
            flows.dedup();
            for flow in flows.iter().filter_map(|name| helpdesk.flows.get(*name)) {
                let without = texts(flow, language, &hospital.name, &[]);
                wanted.extend(without.into_iter().map(|text| (tenant, text.into())));
            }
            later.push((tenant, named(language, hospital, &helpdesk.flows, &names)));
        }
        if language == Language::ENGLISH && helpdesk.emergency.is_some() {
            let tenants = helpdesk.hospitals.iter();
            let tenants = tenants.map(|hospital| TenantId(hospital.id));
            let words: Arc<str> = switch::EMERGENCY_WORDS.into();
            let everybody = tenants.chain([OPERATOR]);
            wanted.extend(everybody.map(|tenant| (tenant, Arc::clone(&words))));
        }
        // Most prompts are the same at every hospital: one clip for all.
        let mut clips: HashMap<Arc<str>, Arc<Clip>> = HashMap::new();
        let mut distinct: Vec<(TenantId, Arc<str>)> = wanted.clone();
        let mut seen = HashSet::new();
        distinct.retain(|(_, text)| seen.insert(Arc::clone(text)));
        let total = distinct.len();
        let mut waiting = distinct.into_iter();
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some((tenant, text)) = waiting.next()
            {
                let answer = studio.request(tenant.0, &text);
                under_way.push_back((text, answer));
            }
            let Some((text, answer)) = under_way.pop_front() else {
                break;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let pcm = match answer.recv_timeout(left) {
                Ok(Ok(pcm)) => pcm,
                Ok(Err(error)) => {
                    return Err(PromptError::Text {
                        text: text.to_string(),
                        error,
                    });
                }
                Err(_) => return Err(PromptError::TooSlow(RENDERING_MAX)),
            };
            clips.insert(text, Clip::from_samples(&pcm.samples));
            progress(clips.len(), total);
        }
        for (tenant, text) in wanted {
            if let Some(clip) = clips.get(&text) {
                fixed.insert((tenant, text), Arc::clone(clip));
            }
        }
        let recorded = TicketClips::record(studio).map_err(|error| PromptError::Text {
            text: "ticket digits".into(),
            error,
        })?;
        Ok(Self {
            fixed,
            tickets: TicketPairs::new(&recorded),
            later,
        })
    }

    /// Every fixed clip with what it says, for a test phone that recognises
    /// prompts.
    pub fn library(&self) -> Vec<(String, Arc<Clip>)> {
        let mut seen = HashSet::new();
        let fixed = self
            .fixed
            .iter()
            .filter(|((_, text), _)| seen.insert(Arc::clone(text)))
            .map(|((_, text), clip)| (text.to_string(), Arc::clone(clip)));
        fixed.chain(self.tickets.all()).collect()
    }

    /// The same with greetings by name, of which a folder with thousands of
    /// people has more than are worth waiting for.
    pub fn library_with_names(&self, studio: &Studio) -> Vec<(String, Arc<Clip>)> {
        let named = self
            .later
            .iter()
            .flat_map(|(tenant, texts)| texts.iter().map(|text| (*tenant, text)))
            .take(NAMED_MAX)
            .filter_map(|(tenant, text)| {
                let answer = studio.request(tenant.0, text).recv_timeout(NAMED_WAIT);
                let pcm = answer.ok()?.ok()?;
                Some((text.clone(), Clip::from_samples(&pcm.samples)))
            });
        self.library().into_iter().chain(named).collect()
    }
}

/// What a flow can say in a language, to callers of these names too.
fn texts(flow: &Flow, language: Language, hospital_name: &str, names: &[&str]) -> Vec<String> {
    let fill = Expansions {
        names,
        hospital_name,
        positions: 1..=20,
    };
    prompts(flow, &fill)
        .filter(|(spoken, _)| *spoken == language)
        .map(|(_, text)| text)
        .collect()
}

/// Everything with one of these names in it that the hospital's callers may hear.
pub(crate) fn named(
    language: Language,
    hospital: &Hospital,
    flows: &BTreeMap<String, Arc<Flow>>,
    names: &[&str],
) -> Vec<String> {
    let answering: BTreeSet<&str> = hospital.lines.iter().map(|l| l.flow.as_str()).collect();
    let mut named = Vec::new();
    for flow in answering.iter().filter_map(|name| flows.get(*name)) {
        let without: HashSet<String> = texts(flow, language, &hospital.name, &[])
            .into_iter()
            .collect();
        let with = texts(flow, language, &hospital.name, names);
        named.extend(with.into_iter().filter(|text| !without.contains(text)));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_that_is_missing_is_told_in_one_line() {
        let told = |program: &str| {
            let unvoiced = Unvoiced {
                language: Language::from_tag("es").expect("a language"),
                program: program.to_owned(),
            };
            unvoiced.to_string()
        };
        assert!(is_installed("sh") && is_installed("/bin/sh"));
        assert!(!is_installed("no-such-voice") && !is_installed("/bin/no-such-voice"));
        assert_eq!(
            told("espeak-ng"),
            "Callers aren't offered the language es: its voice, espeak-ng, isn't installed \
             (sudo apt-get install espeak-ng)"
        );
        assert!(told("/opt/piper").ends_with("its voice, /opt/piper, isn't installed"));
    }
}
