//! Options that change the sound: judged by other programs, and on their way through a node.

mod node;

mod sound;
